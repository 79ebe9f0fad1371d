package dnsserver

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func TestCacheForgets(t *testing.T) {
	ask := question{key: mustWire("example.org."), qtype: dns.TypeA}
	q := received{Msg: new(dns.Msg).SetQuestion("example.org.", dns.TypeA)}
	soa := "example.org. 7200 SOA ns.example.org. h.example.org. 1 2 3 4 "
	for _, c := range []struct {
		name string
		m    *dns.Msg
		life time.Duration
	}{
		{"the lowest TTL counts", says(q, 0, "example.org. 300 A 198.51.100.7", "example.org. 200 A 198.51.100.8"), 200 * time.Second},
		{"TTL 0 is not kept", says(q, 0, "example.org. 0 A 198.51.100.7"), 0},
		{"a week is cut to a day", says(q, 0, "example.org. 604800 A 198.51.100.7"), 24 * time.Hour},
		{"NXDOMAIN lives as the SOA says", says(q, dns.RcodeNameError, soa+"60"), time.Minute},
		{"NXDOMAIN is capped", says(q, dns.RcodeNameError, soa+"7200"), 15 * time.Minute},
		{"NODATA is negative", says(q, 0, soa+"60"), time.Minute},
		{"no SOA, no memory", says(q, dns.RcodeNameError), 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			store := newCache()
			store.put(ask, newAnswer(c.m, time.Now()), c.m)
			if c.life == 0 {
				if kept(store, ask) {
					t.Errorf("%s: kept", c.name)
				}
				return
			}
			<-time.After(c.life - time.Second)
			a, _ := store.get(ask, time.Now(), 0)
			if a == nil {
				t.Fatalf("%s: gone too early", c.name)
			}
			for _, rr := range a.spelled("example.org.").answer {
				if rr.Header().Ttl < 1 || rr.Header().Ttl > 101 {
					t.Errorf("%s: TTL left %d", c.name, rr.Header().Ttl)
				}
			}
			<-time.After(time.Second)
			if kept(store, ask) || store.octets != 0 {
				t.Errorf("%s: kept too long", c.name)
			}
		})
	}
}

func TestCacheIsBounded(t *testing.T) {
	store := newCache()
	m := says(received{Msg: new(dns.Msg).SetQuestion("example.org.", dns.TypeA)}, 0, "example.org. 300 A 198.51.100.7")
	for i := range maxCache / entryOverhead {
		store.put(question{key: wireName([]byte{2, byte(i), byte(i >> 8), 0}), qtype: dns.TypeA}, newAnswer(m, time.Now()), m)
	}
	if store.octets > maxCache || len(store.entries) != store.recent.Len() || len(store.entries) < 1000 {
		t.Errorf("%d octets, %d entries, %d in order", store.octets, len(store.entries), store.recent.Len())
	}
	if kept(store, question{key: wireName([]byte{2, 0, 0, 0}), qtype: dns.TypeA}) {
		t.Error("the oldest entry is still there")
	}
}

func kept(c *cache, ask question) bool {
	a, fresh := c.get(ask, time.Now(), 0)
	return a != nil && fresh
}
