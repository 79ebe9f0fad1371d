package dnsserver

import (
	"container/list"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	maxCache       = 8 << 20 // octets of answers remembered
	entryOverhead  = 512     // octets an entry costs beside its records
	maxPositive    = 24 * time.Hour
	maxNegative    = 15 * time.Minute // RFC 2308 5 asks for a limit of this kind
	maxPositiveTTL = uint32(maxPositive / time.Second)
)

// A cache remembers answers of upstreams, the least recently used go first.
type cache struct {
	mu      sync.Mutex
	entries map[question]*list.Element
	recent  *list.List // of *cached, most recently used first
	octets  int
}

type cached struct {
	ask    question
	answer *answer
	until  time.Time
	octets int
}

func newCache() *cache { return &cache{entries: map[question]*list.Element{}, recent: list.New()} }

// get returns the answer to ask, nil when there is none or its time is over.
// Beyond its time it is kept as long as stale says, and is not fresh then.
func (c *cache) get(ask question, now time.Time, stale time.Duration) (a *answer, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[ask]
	if e == nil {
		return nil, false
	}
	until := e.Value.(*cached).until
	if !now.Before(until.Add(stale)) {
		c.drop(e)
		return nil, false
	}
	c.recent.MoveToFront(e)
	return e.Value.(*cached).answer, now.Before(until)
}

// put remembers a for as long as m, which it was made of, may be believed.
func (c *cache) put(ask question, a *answer, m *dns.Msg) {
	life := lifetime(m, ask.qtype)
	if life == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.entries[ask]; old != nil {
		c.drop(old)
	}
	size := m.Len() + entryOverhead
	c.entries[ask] = c.recent.PushFront(&cached{ask, a, a.since.Add(life), size})
	for c.octets += size; c.octets > maxCache; {
		c.drop(c.recent.Back())
	}
}

func (c *cache) drop(e *list.Element) {
	v := c.recent.Remove(e).(*cached)
	delete(c.entries, v.ask)
	c.octets -= v.octets
}

// lifetime is how long m may be remembered; 0: not at all. A negative answer
// without an SOA record has no time to live (RFC 2308 5).
func lifetime(m *dns.Msg, qtype uint16) time.Duration {
	low, limit := maxPositiveTTL, maxPositive
	if negative(m, qtype) {
		soa := soaOf(m)
		if soa == nil {
			return 0
		}
		low, limit = min(soa.Minttl, maxPositiveTTL), maxNegative
	}
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			low = min(low, lifeOf(rr))
		}
	}
	return min(time.Duration(low)*time.Second, limit)
}

// lifeOf is a record's TTL; one with the top bit set counts as 0 (RFC 2181 8).
func lifeOf(rr dns.RR) uint32 {
	if ttl := rr.Header().Ttl; ttl <= maxTTL {
		return ttl
	}
	return 0
}

func negative(m *dns.Msg, qtype uint16) bool {
	if m.Rcode == dns.RcodeNameError {
		return true
	}
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == qtype || qtype == dns.TypeANY {
			return false
		}
	}
	return true
}

func soaOf(m *dns.Msg) *dns.SOA {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa
		}
	}
	return nil
}

// newAnswer keeps of m what clients get: records of our class, none of the
// message's own.
func newAnswer(m *dns.Msg, now time.Time) *answer {
	return &answer{rcode: m.Rcode, records: genuine(m.Answer), authority: genuine(m.Ns), since: now}
}

func genuine(section []dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range section {
		h := rr.Header()
		if h.Class == dns.ClassINET && h.Rrtype != dns.TypeOPT && h.Rrtype != dns.TypeTSIG {
			h.Ttl = min(lifeOf(rr), maxPositiveTTL)
			out = append(out, rr)
		}
	}
	return out
}

// spelled is a for a client that wrote the name like this: with the client's
// letters and what is left of the TTLs.
func (a *answer) spelled(name string) finding {
	age := uint32(time.Since(a.since) / time.Second)
	return finding{rcode: a.rcode, answer: aged(a.records, name, age), authority: aged(a.authority, name, age)}
}

func aged(section []dns.RR, name string, age uint32) []dns.RR {
	out := make([]dns.RR, len(section))
	for i, rr := range section {
		out[i] = dns.Copy(rr)
		h := out[i].Header()
		h.Ttl -= min(age, h.Ttl)
		if strings.EqualFold(h.Name, name) {
			h.Name = name
		}
	}
	return out
}
