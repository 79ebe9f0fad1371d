package dnsserver

import (
	"net/netip"
	"strconv"
	"sync"
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

// A ring holds the last queries. An entry is written without allocation; what
// people read is made when they ask.
type ring struct {
	mu      sync.Mutex
	entries []entry
	next    int // the entry to write; all before it and, once full, all after it are set
	full    bool
}

type entry struct {
	time   time.Time
	client netip.AddrPort
	tcp    bool
	asked  bool
	key    wireName
	qtype  uint16
	rcode  int
}

func newRing(n int) *ring {
	if n <= 0 {
		n = 512
	}
	return &ring{entries: make([]entry, n)}
}

func (r *ring) add(q *query, rcode int, at time.Time) {
	e := entry{at, q.client, q.tcp, q.asked, q.key, q.qtype, rcode}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries[r.next] = e
	r.next++
	if r.next == len(r.entries) {
		r.next, r.full = 0, true
	}
}

// Queries returns the last queries, oldest first.
func (s *Server) Queries() []Query {
	r := s.log
	r.mu.Lock()
	held := append([]entry{}, r.entries[:r.next]...)
	if r.full {
		held = append(append([]entry{}, r.entries[r.next:]...), held...)
	}
	r.mu.Unlock()
	out := make([]Query, len(held))
	for i, e := range held {
		out[i] = e.query()
	}
	return out
}

func (e entry) query() Query {
	q := Query{Time: e.time, Client: e.client, TCP: e.tcp, Rcode: rcodeName(e.rcode)}
	if e.asked {
		q.Name, q.Type = e.key.text(), typeName(e.qtype)
	}
	return q
}

func typeName(t uint16) string {
	if s, ok := dns.TypeToString[t]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t))
}
