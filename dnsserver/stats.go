package dnsserver

import (
	"fmt"
	"maps"
	"runtime/debug"
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
	Stale     uint64            `json:"stale"`      // foreign names answered from memory after their time
	Loops     uint64            `json:"loops"`      // queries that came back to us from an upstream
	Dropped   uint64            `json:"dropped"`    // answers not sent: over the rate limit
	Slipped   uint64            `json:"slipped"`    // answers sent without records: over the rate limit
	Transfers uint64            `json:"transfers"`  // zones handed out
	Panics    uint64            `json:"panics"`     // bugs met: each cost one query at most
	LastPanic string            `json:"last_panic,omitempty"`
	Serials   map[string]uint32 `json:"serials"` // of the zones served, by name
}

// maxRcode is above every response code there is a name for.
const maxRcode = 24

// A meter counts. What every query counts is split in lanes, so that readers
// on different processors do not share cache lines.
type meter struct {
	silent, forwarded, cacheHits, stale, loops, dropped, slipped, transfers, panics atomic.Uint64

	lanes [8]lane // the first is that of the ordinary path
	used  atomic.Uint32

	latency histogram // of foreign questions

	mu    sync.Mutex
	panic string // the last one
}

// A lane is one reader's counters.
type lane struct {
	_        [64]byte
	udp, tcp atomic.Uint64
	rcodes   [maxRcode]atomic.Uint64
	types    [len(countedTypes) + 1]atomic.Uint64 // the last is all others
	_        [64]byte
}

// countedTypes are the types of question counted by name; few, so that nobody
// makes the metrics grow by asking.
var countedTypes = [...]uint16{
	dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeHTTPS, dns.TypeSRV, dns.TypeTXT, dns.TypeCNAME, dns.TypeMX,
	dns.TypeNS, dns.TypeSOA, dns.TypeDS, dns.TypeSVCB, dns.TypeANY, dns.TypeAXFR, dns.TypeIXFR,
}

// lane returns one for a new reader; readers beyond the seventh share them.
func (m *meter) lane() *lane {
	return &m.lanes[1+m.used.Add(1)%uint32(len(m.lanes)-1)]
}

func (l *lane) received(tcp bool) {
	if tcp {
		l.tcp.Add(1)
		return
	}
	l.udp.Add(1)
}

func (l *lane) answered(qtype uint16, rcode int) {
	l.rcodes[min(rcode, maxRcode-1)].Add(1)
	l.types[typeIndex(qtype)].Add(1)
}

func typeIndex(qtype uint16) int {
	for i, t := range countedTypes {
		if t == qtype {
			return i
		}
	}
	return len(countedTypes)
}

func (m *meter) panicked(reason any) {
	m.panics.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.panic = fmt.Sprintf("%v\n%s", reason, debug.Stack())
}

// Stats returns the counters as they are now.
func (s *Server) Stats() Stats {
	m := &s.meter
	m.mu.Lock()
	last := m.panic
	m.mu.Unlock()
	st := Stats{
		Silent: m.silent.Load(), Forwarded: m.forwarded.Load(), CacheHits: m.cacheHits.Load(), Stale: m.stale.Load(),
		Loops: m.loops.Load(), Dropped: m.dropped.Load(), Slipped: m.slipped.Load(), Transfers: m.transfers.Load(),
		Panics: m.panics.Load(), LastPanic: last,
		Rcodes: map[string]uint64{}, Serials: map[string]uint32{},
	}
	for i := range m.lanes {
		m.lanes[i].addTo(&st)
	}
	for z := range maps.Values(s.table.Load().zones) {
		st.Serials[z.apex.text()] = z.serial
	}
	return st
}

func (l *lane) addTo(st *Stats) {
	st.UDP += l.udp.Load()
	st.TCP += l.tcp.Load()
	for code := range l.rcodes {
		if n := l.rcodes[code].Load(); n > 0 {
			st.Rcodes[rcodeName(code)] += n
		}
	}
}

func rcodeName(code int) string {
	if code == dns.RcodeBadVers {
		return "BADVERS" // the library calls it BADSIG, its meaning in TSIG
	}
	return dns.RcodeToString[code]
}
