package dnsserver

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// agedCache makes everything in the cache of s older by d.
func agedCache(s *Server, d time.Duration) {
	c := s.table.Load().forward.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.recent.Front(); e != nil; e = e.Next() {
		v := e.Value.(*cached)
		v.until = v.until.Add(-d)
	}
}

func TestStaleAnswerIsServedWhenNoUpstreamAnswers(t *testing.T) {
	var dead atomic.Bool
	u := scripted(t, func(q received) []*dns.Msg {
		if dead.Load() {
			return []*dns.Msg{says(q, dns.RcodeServerFailure)}
		}
		return address(q)
	})
	s, addr := forwarding(t, time.Second, u)
	stale := *s.table.Load()
	stale.stale = time.Hour
	s.table.Store(&stale)

	ask(t, "udp", addr, "example.org.", dns.TypeA)
	dead.Store(true)
	agedCache(s, 10*time.Minute)
	for i := range 3 {
		r := ask(t, "udp", addr, "example.org.", dns.TypeA)
		if len(r.Answer) != 1 || r.Answer[0].Header().Ttl != staleTTL {
			t.Fatalf("answer %d: %v", i, r)
		}
	}
	if asked := len(u.queries()); asked != 2 {
		t.Errorf("the upstream was asked %d times, want once and once more", asked)
	}
	if st := s.Stats(); st.Stale != 3 {
		t.Errorf("%d stale answers counted", st.Stale)
	}
	agedCache(s, time.Hour)
	if r := ask(t, "udp", addr, "example.org.", dns.TypeA); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("too old, and yet: %v", r)
	}
}

func TestFreshAnswerIsPreferredToAStaleOne(t *testing.T) {
	u := scripted(t, address)
	s, addr := forwarding(t, 10*time.Second, u)
	stale := *s.table.Load()
	stale.stale = time.Hour
	s.table.Store(&stale)
	for range 2 {
		if r := ask(t, "udp", addr, "example.org.", dns.TypeA); len(r.Answer) != 1 || r.Answer[0].Header().Ttl != 300 {
			t.Errorf("%v", r)
		}
		agedCache(s, 10*time.Minute)
	}
	if st := s.Stats(); st.Stale != 0 || len(u.queries()) != 2 {
		t.Errorf("%d stale answers, %d queries", st.Stale, len(u.queries()))
	}
}

// A client does not wait until the upstream was given up.
func TestStaleAnswerComesBeforeTheClientGivesUp(t *testing.T) {
	release := make(chan struct{})
	u := scripted(t, func(q received) []*dns.Msg {
		if q.n > 0 {
			<-release
		}
		return address(q)
	})
	s, addr := forwarding(t, 10*time.Second, u)
	stale := *s.table.Load()
	stale.stale = time.Hour
	s.table.Store(&stale)
	ask(t, "udp", addr, "example.org.", dns.TypeA)
	agedCache(s, 10*time.Minute)
	if r := ask(t, "udp", addr, "example.org.", dns.TypeA); len(r.Answer) != 1 || r.Answer[0].Header().Ttl != staleTTL {
		t.Errorf("%v", r)
	}
	close(release)
	within(t, "the new answer is in memory", func() bool {
		return ask(t, "udp", addr, "example.org.", dns.TypeA).Answer[0].Header().Ttl > staleTTL
	})
}
