package dnsserver

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	maxForwards = 512                     // queries waiting for upstreams at once; more get SERVFAIL
	budget      = 4500 * time.Millisecond // for one question; resolvers give up after 5 s
	rounds      = 3                       // times a silent upstream is asked
	patience    = budget / rounds         // for one attempt
	holdOff     = 30 * time.Second        // an upstream that was silent is asked last
)

// A forwarder asks upstreams for foreign names. It lives as long as its
// upstreams stay the same, from one Config to the next, with what it learned.
type forwarder struct {
	upstreams []*upstream
	cache     *cache
	patience  time.Duration

	mu    sync.Mutex
	calls map[question]*call
}

// A question is what makes two foreign queries the same.
type question struct {
	key    wireName
	qtype  uint16
	do, cd bool
}

// A call is a question on its way; whoever asks the same meanwhile waits for
// the same answer, which also keeps a loop from becoming a storm.
type call struct {
	done     chan struct{}
	answer   *answer                // nil: none
	spelling atomic.Pointer[string] // the letters of the name as last sent
}

// An answer is what an upstream said, in lower case and never changed.
type answer struct {
	rcode     int
	records   []dns.RR
	authority []dns.RR
	since     time.Time // TTLs count from here

	failed atomic.Int64 // when no newer answer was to be had, Unix nanoseconds
}

func newForwarder(c Forward) *forwarder {
	f := &forwarder{cache: newCache(), patience: patience, calls: map[question]*call{}}
	for _, a := range c.Upstreams {
		f.upstreams = append(f.upstreams, &upstream{addr: a})
	}
	return f
}

// renew returns the forwarder for c: f itself while the upstreams are the same.
func (f *forwarder) renew(c *Forward) *forwarder {
	switch {
	case c == nil:
		return nil
	case f != nil && slices.EqualFunc(f.upstreams, c.Upstreams, func(u *upstream, a netip.AddrPort) bool { return u.addr == a }):
		return f
	}
	return newForwarder(*c)
}

// forward answers q from upstreams: the whole of it, or the rest of an alias
// that begins in our zones.
func (s *Server) forward(q *query) *dns.Msg {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return q.response(dns.RcodeServerFailure)
	}
	found, ours := q.table.lookup(q.name, q.key, q.qtype)
	name := q.name
	if ours {
		name = found.left
	}
	rest, err := s.foreign(q, name)
	if err != nil {
		return q.response(dns.RcodeServerFailure)
	}
	found.rcode, found.authority = rest.rcode, rest.authority
	found.answer = append(found.answer, rest.answer...)
	return q.found(found)
}

// foreign looks name up: in the zones that must not leave the site, in memory,
// or upstream.
func (s *Server) foreign(q *query, name string) (finding, error) {
	key := mustWire(name)
	if f, ok := private().lookup(name, key, q.qtype); ok {
		return f, nil
	}
	ask := question{key: key, qtype: q.qtype, do: q.edns != nil && q.edns.do, cd: q.flags&flagCD != 0}
	f := q.table.forward
	a, fresh := f.cache.get(ask, time.Now(), q.table.stale)
	switch {
	case fresh:
		s.meter.cacheHits.Add(1)
		return a.spelled(name), nil
	case a != nil:
		return s.freshOrStale(q, ask, a).spelled(name), nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, f.patience*rounds)
	defer cancel()
	a, err := f.join(ctx, s, q, ask)
	if err != nil {
		return finding{}, err
	}
	return a.spelled(name), nil
}

var (
	errLoop     = errors.New("the query came back from an upstream")
	errNoAnswer = errors.New("no upstream answered")
)

// join asks, or waits for who asks the same already.
func (f *forwarder) join(ctx context.Context, s *Server, q *query, ask question) (*answer, error) {
	f.mu.Lock()
	c, waiting := f.calls[ask]
	if !waiting {
		c = &call{done: make(chan struct{})}
		f.calls[ask] = c
	}
	f.mu.Unlock()
	if !waiting {
		f.lead(ctx, s, c, ask)
		return c.result()
	}
	if f.loops(c, q) {
		s.meter.loops.Add(1)
		return nil, errLoop
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.done:
		return c.result()
	}
}

// result is for when done is closed.
func (c *call) result() (*answer, error) {
	if c.answer == nil {
		return nil, errNoAnswer
	}
	return c.answer, nil
}

// loops reports whether q is c itself, gone round: it is spelled in the very
// letters we chose at random, or comes from an upstream.
func (f *forwarder) loops(c *call, q *query) bool {
	if sent := c.spelling.Load(); sent != nil && *sent == q.sent {
		return true
	}
	from := q.client.Addr()
	return !from.IsLoopback() && slices.ContainsFunc(f.upstreams, func(u *upstream) bool { return u.addr.Addr().Unmap() == from })
}

// lead does the asking of a call, and ends it whatever happens.
func (f *forwarder) lead(ctx context.Context, s *Server, c *call, ask question) {
	start := time.Now()
	defer func() {
		s.meter.latency.observe(time.Since(start))
		f.mu.Lock()
		delete(f.calls, ask)
		f.mu.Unlock()
		close(c.done)
	}()
	if m := f.ask(ctx, s, c, ask); m != nil {
		c.answer = newAnswer(m, time.Now())
		f.cache.put(ask, c.answer, m)
	}
}

// ask tries the upstreams, those that answered lately first, until one gives
// an answer worth passing on. It returns nil when none does.
func (f *forwarder) ask(ctx context.Context, s *Server, c *call, ask question) *dns.Msg {
	order := f.order(time.Now())
	for range rounds {
		silent := order[:0:0]
		for _, u := range order {
			if ctx.Err() != nil {
				return nil
			}
			m, err := u.attempt(ctx, f.patience, ask, c, &s.meter)
			if err != nil {
				silent = append(silent, u)
				continue
			}
			if m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError {
				return m
			}
		}
		order = silent // who said SERVFAIL or REFUSED once says it again
	}
	return nil
}

// order puts the upstreams that were silent lately behind the others.
func (f *forwarder) order(now time.Time) []*upstream {
	sorted := slices.Clone(f.upstreams)
	slices.SortStableFunc(sorted, func(a, b *upstream) int {
		switch da, db := a.down(now), b.down(now); {
		case da == db:
			return 0
		case da:
			return 1
		}
		return -1
	})
	return sorted
}
