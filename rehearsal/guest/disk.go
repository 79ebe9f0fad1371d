package guest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/slipway-project/slipway/rehearsal/node"
)

// DiskSize is the size of a machine's disk in bytes: room for the image, and
// at its end for what the installed system keeps.
const DiskSize = 256 << 20

// A disk begins with the image that it was installed from. Its last mebibyte
// is the installed system: magic, the length of what follows, JSON.
const (
	block     = 1 << 20
	magic     = "slipway system\x00\x00"
	headBytes = len(magic) + 4
)

// A disk is the machine's, a node.Medium. What it is installed from is the CD.
type disk struct{ path, cd string }

// openDisk returns the disk at path with the system that is installed on it.
func openDisk(path, cd string) (*node.Disk, error) {
	d := &disk{path, cd}
	data, err := d.load()
	if err != nil {
		return nil, fmt.Errorf("disk %s: %w", path, err)
	}
	return node.OpenDisk(d, data)
}

func (d *disk) load() ([]byte, error) {
	f, err := os.Open(d.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	last := make([]byte, block)
	if _, err := f.ReadAt(last, DiskSize-block); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(last, []byte(magic)) {
		return nil, nil
	}
	size := binary.BigEndian.Uint32(last[len(magic):])
	if int(size) > block-headBytes {
		return nil, errors.New("the installed system is damaged")
	}
	return last[headBytes : headBytes+int(size)], nil
}

// Image copies the CD, its first block last: a disk that is half written does
// not boot.
func (d *disk) Image(ctx context.Context) error {
	from, err := os.Open(d.cd)
	if err != nil {
		return err
	}
	defer from.Close()
	return d.write(func(to *os.File) error {
		buffer := make([]byte, block)
		for offset := int64(block); ctx.Err() == nil; offset += block {
			n, err := copyBlock(to, from, buffer, offset)
			if err != nil {
				return err
			}
			if n < block {
				break
			}
		}
		if err := errors.Join(ctx.Err(), to.Sync()); err != nil {
			return err
		}
		_, err := copyBlock(to, from, buffer, 0)
		return err
	})
}

func copyBlock(to io.WriterAt, from io.ReaderAt, buffer []byte, offset int64) (int, error) {
	n, err := from.ReadAt(buffer, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, err
	}
	_, err = to.WriteAt(buffer[:n], offset)
	return n, err
}

// Save writes the installed system; without one the disk does not boot.
func (d *disk) Save(data []byte) error {
	if len(data) > block-headBytes {
		return errors.New("the installed system has no room")
	}
	return d.write(func(to *os.File) error {
		if len(data) == 0 {
			_, first := to.WriteAt(make([]byte, block), 0)
			_, last := to.WriteAt(make([]byte, block), DiskSize-block)
			return errors.Join(first, last)
		}
		last := append([]byte(magic), binary.BigEndian.AppendUint32(nil, uint32(len(data)))...)
		_, err := to.WriteAt(append(last, data...), DiskSize-block)
		return err
	})
}

// write changes the disk and waits until it has the change.
func (d *disk) write(change func(to *os.File) error) error {
	to, err := os.OpenFile(d.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer to.Close()
	return errors.Join(change(to), to.Sync())
}
