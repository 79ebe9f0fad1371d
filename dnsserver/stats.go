package dnsserver

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"
)

// Stats is what a Server counted since it was made.
type Stats struct {
	UDP       uint64            `json:"udp"`        // packets received
	TCP       uint64            `json:"tcp"`        // messages received
	Silent    uint64            `json:"silent"`     // not answered: responses, and what is shorter than a header
	Rcodes    map[string]uint64 `json:"rcodes"`     // answers, by NOERROR, NXDOMAIN ...
	Forwarded uint64            `json:"forwarded"`  // queries sent to upstreams, each attempt
	CacheHits uint64            `json:"cache_hits"` // foreign names answered from memory
	Loops     uint64            `json:"loops"`      // queries that came back to us from an upstream
	Panics    uint64            `json:"panics"`     // bugs met, each answered SERVFAIL
	LastPanic string            `json:"last_panic,omitempty"`
	Serials   map[string]uint32 `json:"serials"` // of the zones served, by name
}

// maxRcode is above every response code there is a name for.
const maxRcode = 24

// A meter counts; it costs a query a few atomic additions.
type meter struct {
	udp, tcp, silent, forwarded, cacheHits, loops, panics atomic.Uint64

	rcodes [maxRcode]atomic.Uint64
	mu     sync.Mutex
	panic  string // the last one
}

func (m *meter) received(tcp bool) {
	if tcp {
		m.tcp.Add(1)
		return
	}
	m.udp.Add(1)
}

func (m *meter) answered(rcode int) { m.rcodes[min(rcode, maxRcode-1)].Add(1) }

func (m *meter) panicked(text string) {
	m.panics.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.panic = text
}

// Stats returns the counters as they are now.
func (s *Server) Stats() Stats {
	m := &s.meter
	m.mu.Lock()
	last := m.panic
	m.mu.Unlock()
	st := Stats{
		UDP: m.udp.Load(), TCP: m.tcp.Load(), Silent: m.silent.Load(),
		Forwarded: m.forwarded.Load(), CacheHits: m.cacheHits.Load(), Loops: m.loops.Load(),
		Panics: m.panics.Load(), LastPanic: last,
		Rcodes: map[string]uint64{}, Serials: map[string]uint32{},
	}
	for code := range m.rcodes {
		if n := m.rcodes[code].Load(); n > 0 {
			st.Rcodes[rcodeName(code)] = n
		}
	}
	for z := range maps.Values(s.table.Load().zones) {
		st.Serials[z.apex.text()] = z.serial
	}
	return st
}

func rcodeName(code int) string {
	if code == dns.RcodeBadVers {
		return "BADVERS" // the library calls it BADSIG, its meaning in TSIG
	}
	return dns.RcodeToString[code]
}
