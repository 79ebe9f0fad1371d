package dnsserver

import (
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// A Query is one answered query, as the log remembers it.
type Query struct {
	Time   time.Time      `json:"time"`
	Client netip.AddrPort `json:"client"`
	TCP    bool           `json:"tcp"`
	Name   string         `json:"name"` // in lower case; empty when none could be read
	Type   string         `json:"type"`
	Rcode  string         `json:"rcode"`
}

// A ring holds the last queries. To write one allocates nothing and waits for
// nobody but a reader of the very same place; what people read is made when
// they ask.
type ring struct {
	next   atomic.Uint64 // number of the entry to write
	places []place
}

type place struct {
	mu     sync.Mutex
	number uint64 // of the entry, from 1; 0: none yet
	entry
	name [maxName]byte
	size uint8 // of name
}

// An entry is a query without its name.
type entry struct {
	time   time.Time
	client netip.AddrPort
	tcp    bool
	asked  bool
	qtype  uint16
	rcode  int
}

func newRing(n int) *ring {
	if n <= 0 {
		n = 512
	}
	return &ring{places: make([]place, n)}
}

// add remembers e, which asked for name, in wire form.
func (r *ring) add(e entry, name []byte) {
	number := r.next.Add(1)
	p := &r.places[number%uint64(len(r.places))]
	p.mu.Lock()
	p.number, p.entry = number, e
	p.size = uint8(copy(p.name[:], name))
	p.mu.Unlock()
}

// Queries returns the last queries, oldest first.
func (s *Server) Queries() []Query {
	type numbered struct {
		number uint64
		Query
	}
	var held []numbered
	for i := range s.log.places {
		p := &s.log.places[i]
		p.mu.Lock()
		if p.number > 0 {
			held = append(held, numbered{p.number, p.query()})
		}
		p.mu.Unlock()
	}
	slices.SortFunc(held, func(a, b numbered) int { return int(int64(a.number - b.number)) })
	out := make([]Query, len(held))
	for i, h := range held {
		out[i] = h.Query
	}
	return out
}

// query is p for people; p.mu is held.
func (p *place) query() Query {
	q := Query{Time: p.time, Client: p.client, TCP: p.tcp, Rcode: rcodeName(p.rcode)}
	if p.asked {
		q.Name, q.Type = wireName(p.name[:p.size]).text(), typeName(p.qtype)
	}
	return q
}

func typeName(t uint16) string {
	if s, ok := dns.TypeToString[t]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t))
}
