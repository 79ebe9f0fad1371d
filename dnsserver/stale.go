package dnsserver

import (
	"context"
	"time"

	"github.com/miekg/dns"
)

// What RFC 8767 5 recommends: clients give up after 2 s, and come back soon.
const (
	staleAfter   = 1800 * time.Millisecond // how long a client waits before it gets an old answer
	staleRecheck = 30 * time.Second        // upstreams that failed are left alone for this long
	staleTTL     = 30                      // seconds an old answer may be kept
)

// freshOrStale asks for a newer answer than old, and returns that, or old when
// none comes in time. The asking goes on meanwhile.
func (s *Server) freshOrStale(q *query, ask question, old *answer) *answer {
	if time.Since(time.Unix(0, old.failed.Load())) < staleRecheck {
		return s.stale(old)
	}
	f := q.table.forward
	fresh := make(chan *answer, 1)
	s.running.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, f.patience*rounds)
		defer cancel()
		a, err := f.join(ctx, s, q, ask)
		if err != nil {
			old.failed.Store(time.Now().UnixNano())
		}
		fresh <- a
	})
	late := time.NewTimer(staleAfter)
	defer late.Stop()
	select {
	case a := <-fresh:
		if a != nil {
			return a
		}
	case <-late.C:
	}
	return s.stale(old)
}

func (s *Server) stale(old *answer) *answer {
	s.meter.stale.Add(1)
	return &answer{rcode: old.rcode, records: short(old.records), authority: short(old.authority), since: time.Now()}
}

func short(section []dns.RR) []dns.RR {
	out := make([]dns.RR, len(section))
	for i, rr := range section {
		out[i] = dns.Copy(rr)
		out[i].Header().Ttl = staleTTL
	}
	return out
}
