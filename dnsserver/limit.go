package dnsserver

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	maxRate   = 1 << 15
	slip      = 2       // of so many answers over the rate one goes out, cut
	rateSlots = 1 << 14 // accounts held at once
)

// A limiter bounds how often a network gets the same answer over UDP, so that
// the server is of no use to who forges addresses. Who does ask from there
// sees cut answers between the missing ones and asks again over TCP. It never
// allocates and forgets by itself.
type limiter struct {
	rate   uint64
	exempt []netip.Prefix
	seed   maphash.Seed
	slots  [rateSlots]atomic.Uint64 // hash (32), second (16), answers in it (16)
}

// A verdict is what becomes of an answer.
type verdict int

const (
	pass verdict = iota
	cut
	drop
)

func newLimiter(c *RateLimit) (*limiter, error) {
	if c == nil || c.PerSecond == 0 {
		return nil, nil
	}
	if c.PerSecond < 0 || c.PerSecond > maxRate {
		return nil, fmt.Errorf("rate limit: %d answers a second are not within 0 to %d", c.PerSecond, maxRate)
	}
	l := &limiter{rate: uint64(c.PerSecond), seed: maphash.MakeSeed()}
	for _, p := range c.Exempt {
		if !p.IsValid() {
			return nil, errors.New("rate limit: an exempt network is not valid")
		}
		l.exempt = append(l.exempt, p.Masked())
	}
	return l, nil
}

// judge counts one answer to client. subject is what it is about: attackers
// vary the rest of the name, so that is not looked at.
func (l *limiter) judge(client netip.Addr, rcode int, subject []byte, at time.Time) verdict {
	client = client.Unmap().WithZone("")
	if client.IsLoopback() || slices.ContainsFunc(l.exempt, func(p netip.Prefix) bool { return p.Contains(client) }) {
		return pass
	}
	over := l.spend(l.account(client, rcode, subject), uint64(at.Unix()))
	switch {
	case over == 0:
		return pass
	case over%slip == 0:
		return cut
	}
	return drop
}

// account names the client's network, /24 or /56, and the kind of answer.
func (l *limiter) account(client netip.Addr, rcode int, subject []byte) uint64 {
	var key [8]byte
	if client.Is4() {
		a := client.As4()
		copy(key[:], a[:3])
	} else {
		a := client.As16()
		copy(key[:], a[:7])
	}
	key[7] = byte(rcode)
	return maphash.Bytes(l.seed, key[:]) + 3*maphash.Bytes(l.seed, subject)
}

// spend counts an answer in its second and returns how many that is over the
// rate. Accounts that meet in one slot push each other out, which errs towards
// answering.
func (l *limiter) spend(account, second uint64) (over uint64) {
	slot := &l.slots[account%rateSlots]
	head := account&^0xFFFFFFFF | second&0xFFFF<<16
	for {
		old := slot.Load()
		n := uint64(1)
		if old&^0xFFFF == head {
			n = min(old&0xFFFF+1, 0xFFFF)
		}
		if slot.CompareAndSwap(old, head|n) {
			return n - min(n, l.rate)
		}
	}
}

// ration applies the limit to an answer of the ordinary path; false: send
// nothing. Over TCP nobody forges an address, nor under a key's signature.
func (s *Server) ration(q *query, m *dns.Msg, at time.Time) bool {
	if q.table == nil || q.table.limit == nil || q.tcp || q.signed() {
		return true
	}
	switch q.table.limit.judge(q.client.Addr(), m.Rcode, q.table.subject(q, m.Rcode), at) {
	case drop:
		s.meter.dropped.Add(1)
		return false
	case cut:
		s.meter.slipped.Add(1)
		m.Truncated = true
		m.Answer, m.Ns, m.Extra = nil, nil, nil
	}
	return true
}

// subject is the closest name of our zones; elsewhere the name itself if it
// exists, and nothing otherwise.
func (t *table) subject(q *query, rcode int) []byte {
	if !q.asked {
		return nil
	}
	for name := q.key; ; name = name.parent() {
		if t.spots[name] != nil {
			return []byte(name)
		}
		if name == root {
			break
		}
	}
	if rcode == dns.RcodeSuccess {
		return []byte(q.key)
	}
	return nil
}
