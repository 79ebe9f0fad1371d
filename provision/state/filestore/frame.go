package filestore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"

	"github.com/slipway-project/slipway/provision/state"
)

const (
	headerSize = 16
	maxBody    = 4 << 20 // a record larger than this is damage, not data
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errTorn    = errors.New("torn record")
)

// body is what a frame carries: a record, or the document that a compaction
// folded all earlier records into.
type body struct {
	Record   *state.Record   `json:"record,omitempty"`
	Document *state.Document `json:"document,omitempty"`
}

func encode(seq uint64, b body) ([]byte, error) {
	data, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	frame := make([]byte, headerSize, headerSize+len(data))
	binary.LittleEndian.PutUint32(frame[0:], uint32(len(data)))
	binary.LittleEndian.PutUint64(frame[8:], seq)
	frame = append(frame, data...)
	binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(frame[8:], castagnoli))
	return frame, nil
}

// decode reads the frame at the start of data and returns its size.
func decode(data []byte) (seq uint64, b body, size int, err error) {
	if len(data) < headerSize {
		return 0, body{}, 0, errTorn
	}
	length := binary.LittleEndian.Uint32(data)
	size = headerSize + int(length)
	if length > maxBody || len(data) < size {
		return 0, body{}, 0, errTorn
	}
	if binary.LittleEndian.Uint32(data[4:]) != crc32.Checksum(data[8:size], castagnoli) {
		return 0, body{}, 0, errTorn
	}
	if err := json.Unmarshal(data[headerSize:size], &b); err != nil {
		return 0, body{}, 0, errTorn
	}
	return binary.LittleEndian.Uint64(data[8:]), b, size, nil
}

// replay folds every whole record of a journal and returns how many bytes of
// it are good; what follows is a torn tail.
func replay(data []byte) (doc state.Document, good int) {
	for good < len(data) {
		seq, b, size, err := decode(data[good:])
		if err != nil || (doc.Seq != 0 && seq != doc.Seq+1) {
			break
		}
		doc = fold(doc, seq, b)
		good += size
	}
	return doc, good
}

func fold(doc state.Document, seq uint64, b body) state.Document {
	switch {
	case b.Document != nil:
		doc = *b.Document
	case b.Record != nil:
		doc = doc.Fold(*b.Record)
	}
	doc.Seq = seq
	return doc
}
