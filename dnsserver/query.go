package dnsserver

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/miekg/dns"
)

// A query is one packet, read strictly: everything in it was looked at before
// any of it is believed (RFC 9267 tells what happens otherwise).
type query struct {
	packet []byte
	client netip.AddrPort
	tcp    bool

	id     uint16
	flags  uint16
	opcode int

	asked  bool     // one question was read
	sent   string   // the name in presentation form, letters as sent
	name   string   // the same in lower case, which all work is done with
	key    wireName // the same in wire form
	qtype  uint16
	qclass uint16
	edns   *edns
	tsig   *signature
	counts [4]uint16

	table     *table // what it is answered from
	recursion bool   // this client may have foreign names looked up
}

const (
	headerLen = 12
	flagQR    = 1 << 15
	flagRD    = 1 << 8
	flagCD    = 1 << 4
)

var (
	errSilence = errors.New("not to be answered") // too short, or a response
	errFormat  = errors.New("malformed")          // FORMERR
)

// parse reads packet. On errFormat q holds what was sound.
func (q *query) parse(packet []byte) error {
	if len(packet) < headerLen {
		return errSilence
	}
	q.packet, q.id, q.flags = packet, be16(packet, 0), be16(packet, 2)
	if q.flags&flagQR != 0 {
		return errSilence // never answer a response: two servers would loop
	}
	q.opcode = int(q.flags >> 11 & 15)
	for i := range q.counts {
		q.counts[i] = be16(packet, 4+2*i)
	}
	return q.parseBody()
}

func (q *query) parseBody() error {
	if q.counts[0] != 1 {
		return errFormat // RFC 9619
	}
	off, err := q.parseQuestion()
	if err != nil {
		return err
	}
	if q.counts[1] != 0 || q.counts[2] != 0 && q.qtype != dns.TypeIXFR {
		return errFormat
	}
	for range q.counts[2] {
		if _, off, err = readRecord(q.packet, off); err != nil {
			return err
		}
	}
	return q.parseAdditional(off)
}

func (q *query) parseQuestion() (int, error) {
	end, ok := plainName(q.packet, headerLen)
	if !ok || end+4 > len(q.packet) {
		return 0, errFormat
	}
	sent, _, err := dns.UnpackDomainName(q.packet, headerLen)
	if err != nil {
		return 0, errFormat
	}
	q.sent, q.key = sent, fold(q.packet[headerLen:end])
	q.name = q.key.text()
	q.qtype, q.qclass = be16(q.packet, end), be16(q.packet, end+2)
	q.asked = true
	return end + 4, nil
}

// parseAdditional reads the third section to the very end of the packet.
func (q *query) parseAdditional(off int) error {
	for range q.counts[3] {
		if q.tsig != nil {
			return errFormat // TSIG is the last record (RFC 8945 5.1)
		}
		r, next, err := readRecord(q.packet, off)
		if err != nil {
			return err
		}
		if err := q.take(r); err != nil {
			return err
		}
		off = next
	}
	if off != len(q.packet) {
		return errFormat
	}
	return nil
}

func (q *query) take(r record) (err error) {
	switch r.rtype {
	case dns.TypeOPT:
		if q.edns != nil || r.owner != "." {
			return errFormat // RFC 6891 6.1.1
		}
		q.edns, err = parseOPT(r)
	case dns.TypeTSIG:
		q.tsig, err = parseTSIG(r)
	}
	return err
}

// limit is the size of the largest answer this client takes.
func (q *query) limit() int {
	switch {
	case q.tcp:
		return dns.MaxMsgSize
	case q.edns == nil:
		return dns.MinMsgSize
	}
	return min(max(int(q.edns.size), dns.MinMsgSize), udpSize)
}

// A record is one resource record, its data unread.
type record struct {
	owner string
	rtype uint16
	class uint16
	ttl   uint32
	data  []byte
}

func readRecord(m []byte, off int) (record, int, error) {
	owner, off, ok := backwardName(m, off)
	if !ok || off+10 > len(m) {
		return record{}, 0, errFormat
	}
	r := record{owner: owner, rtype: be16(m, off), class: be16(m, off+2), ttl: binary.BigEndian.Uint32(m[off+4:])}
	off += 10
	end := off + int(be16(m, off-2))
	if end > len(m) {
		return record{}, 0, errFormat
	}
	r.data = m[off:end]
	return r, end, nil
}

// plainName walks a name that has no pointer in it, and returns where it ends.
// A question can hold none: there is nothing before it to point at.
func plainName(m []byte, off int) (int, bool) {
	start := off
	for off < len(m) {
		n := int(m[off])
		off += 1 + n
		switch {
		case n > 63 || off-start > 255:
			return 0, false
		case n == 0:
			return off, true
		}
	}
	return 0, false
}

// backwardName reads a name whose pointers lead strictly backwards, which is
// all that RFC 1035 4.1.4 allows and what keeps a loop from being one.
func backwardName(m []byte, off int) (string, int, bool) {
	limit := off
	for i := off; i < len(m); {
		switch c := int(m[i]); {
		case c == 0:
			name, end, err := dns.UnpackDomainName(m, off)
			return name, end, err == nil
		case c < 64:
			i += 1 + c
		case c >= 0xC0 && i+1 < len(m):
			to := int(be16(m, i) & 0x3FFF)
			if to >= limit || to < headerLen {
				return "", 0, false
			}
			limit, i = to, to
		default:
			return "", 0, false
		}
	}
	return "", 0, false
}

func be16(b []byte, off int) uint16 { return binary.BigEndian.Uint16(b[off:]) }
