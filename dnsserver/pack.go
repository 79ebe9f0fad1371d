package dnsserver

import (
	"bytes"
	"encoding/binary"

	"github.com/miekg/dns"
)

// A spot is a name of the table as the fast path sees it: what to answer is
// packed already. It is made from the very records the ordinary path reads.
type spot struct {
	sets  []packedSet
	empty *packed // for types the name does not have, and names that do not exist
	wild  *spot   // stands for what is missing below
	slow  bool    // an alias or a delegation: not for the fast path
}

type packedSet struct {
	qtype uint16
	*packed
}

// A packed is the end of an answer, what follows the question. It serves every
// spelling of the name, and every name a wildcard or a negative answer stands
// for: pointers into the question's end and behind it move with its length.
type packed struct {
	body    []byte
	answers uint16
	others  uint16   // records of the authority section
	fixups  []uint16 // where pointers are in body that move
	end     int      // of the question the body was made for
}

// set finds the answer to a type: nil and true when there is none to be had
// this way.
func (s *spot) set(qtype uint16) (p *packed, found bool) {
	for i := range s.sets {
		if s.sets[i].qtype == qtype {
			return s.sets[i].packed, true
		}
	}
	return nil, false
}

// prepack makes the spots of all names; t is complete otherwise.
func (t *table) prepack() {
	t.spots = map[wireName]*spot{}
	for _, z := range t.zones {
		empty := stretch(z.apex, func(string) finding { return finding{authority: z.negative} })
		for name, n := range z.nodes {
			if t.find(name, dns.TypeA) == z {
				t.spots[name] = z.spot(name, n, empty)
			}
		}
	}
}

func (z *zone) spot(name wireName, n *node, empty *packed) *spot {
	_, cut := z.walk(name, dns.TypeA)
	s := &spot{empty: empty, slow: cut != nil || n.sets[dns.TypeCNAME] != nil || empty == nil}
	if s.slow {
		return s
	}
	for qtype, set := range n.sets {
		p, _ := packAfter(name, finding{answer: owned(set, name.text())})
		s.sets = append(s.sets, packedSet{qtype, p})
	}
	if n.wild != nil {
		s.wild = n.wild.below(name, empty)
	}
	return s
}

// below is the spot of the names that the wildcard n in parent stands for.
func (n *node) below(parent wireName, empty *packed) *spot {
	s := &spot{empty: empty, slow: n.sets[dns.TypeCNAME] != nil}
	for qtype, set := range n.sets {
		p := stretch(parent, func(name string) finding { return finding{answer: owned(set, name)} })
		s.sets = append(s.sets, packedSet{qtype, p})
	}
	return s
}

// stretch packs an answer for all names below parent. It is made for two names
// of different length: what differs are the pointers that have to move, and a
// body that differs otherwise cannot be stretched (nil).
func stretch(parent wireName, answer func(name string) finding) *packed {
	short, long := "\x01\x00"+parent, "\x02\x00\x00"+parent
	a, okA := packAfter(short, answer(short.text()))
	b, okB := packAfter(long, answer(long.text()))
	if !okA || !okB || len(a.body) != len(b.body) {
		return nil
	}
	for i := range a.body {
		if a.body[i] == b.body[i] {
			continue
		}
		if b.body[i] != a.body[i]+1 || i == 0 || a.body[i-1] < 0xC0 {
			return nil
		}
		a.fixups = append(a.fixups, uint16(i-1))
	}
	return a
}

// packAfter packs the answer to a question for name; false when it is too long
// for the fast path ever to send.
func packAfter(name wireName, f finding) (*packed, bool) {
	q := &query{asked: true, name: name.text(), qtype: dns.TypeA, qclass: dns.ClassINET}
	m := q.found(f)
	m.Compress = true
	whole, err := m.Pack()
	end := headerLen + len(name) + 4
	if err != nil || len(whole) > udpSize {
		return nil, false
	}
	return &packed{body: bytes.Clone(whole[end:]), answers: uint16(len(m.Answer)), others: uint16(len(m.Ns)), end: end}, true
}

// put writes the body behind the question that is in out[:end] and returns
// where it ends.
func (p *packed) put(out []byte, end int) int {
	copy(out[end:], p.body)
	for _, at := range p.fixups {
		to := be16(p.body, int(at)) + uint16(end-p.end)
		binary.BigEndian.PutUint16(out[end+int(at):], to)
	}
	binary.BigEndian.PutUint16(out[6:], p.answers)
	binary.BigEndian.PutUint16(out[8:], p.others)
	return end + len(p.body)
}
