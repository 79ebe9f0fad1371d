package dnsserver

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func limited(t testing.TB, perSecond int, exempt ...string) *Server {
	t.Helper()
	c := Config{Zones: []Zone{lab(1)}, RateLimit: &RateLimit{PerSecond: perSecond}}
	for _, p := range exempt {
		c.RateLimit.Exempt = append(c.RateLimit.Exempt, netip.MustParsePrefix(p))
	}
	s := New(Options{})
	t.Cleanup(s.Close)
	if err := s.Set(c); err != nil {
		t.Fatal(err)
	}
	return s
}

// fates sends n queries in one second, each client and name in turn, and
// counts what became of the answers.
func fates(t testing.TB, s *Server, n int, clients []string, names []string, fast bool) (full, truncated, missing int) {
	t.Helper()
	now := time.Now()
	r := newReader(&listener{}, s)
	for i := range n {
		packet := mustPack(t, new(dns.Msg).SetQuestion(names[i%len(names)], dns.TypeA).SetEdns0(1232, false))
		client := netip.AddrPortFrom(netip.MustParseAddr(clients[i%len(clients)]), 4242)
		var reply []byte
		var out [udpSize]byte
		if fast {
			reply = r.turn(packet, client, out[:], now)
		} else {
			q := &query{client: client}
			if err := q.parse(packet); err != nil {
				t.Fatal(err)
			}
			m, _ := s.answer(q, nil, now)
			reply = s.finish(q, m, now)
		}
		m := new(dns.Msg)
		switch {
		case len(reply) == 0:
			missing++
		case m.Unpack(reply) != nil || m.IsEdns0() == nil || len(m.Question) != 1 || m.Truncated && len(m.Answer)+len(m.Ns) > 0:
			t.Fatalf("%x: %v", reply, m)
		case m.Truncated:
			truncated++
		default:
			full++
		}
	}
	return full, truncated, missing
}

func TestRateLimit(t *testing.T) {
	one := []string{"192.0.2.1"}
	apps, nothing := []string{}, []string{}
	for i := range 50 {
		apps = append(apps, fmt.Sprintf("x%d.apps.mycluster.lab.test.", i))
		nothing = append(nothing, fmt.Sprintf("x%d.mycluster.lab.test.", i))
	}
	api := []string{"api.mycluster.lab.test."}
	for _, c := range []struct {
		name           string
		clients, names []string
		want           [3]int // full, truncated, missing
	}{
		{"one name", one, api, [3]int{10, 20, 20}},
		{"letters do not matter", one, []string{"api.mycluster.lab.test.", "API.mycluster.lab.test."}, [3]int{10, 20, 20}},
		{"names under a wildcard are one", one, apps, [3]int{10, 20, 20}},
		{"names that do not exist are one", one, nothing, [3]int{10, 20, 20}},
		{"two names are two", one, []string{api[0], "control-0.mycluster.lab.test."}, [3]int{20, 14, 16}},
		{"a /24 is one client", []string{"192.0.2.1", "192.0.2.254"}, api, [3]int{10, 20, 20}},
		{"two networks are two", []string{"192.0.2.1", "192.0.3.1"}, api, [3]int{20, 14, 16}},
		{"a /56 is one client", []string{"2001:db8:0:1::1", "2001:db8:0:ff::1"}, api, [3]int{10, 20, 20}},
		{"two of them are two", []string{"2001:db8:0:1::1", "2001:db8:0:100::1"}, api, [3]int{20, 14, 16}},
		{"IPv4 in IPv6 is IPv4", []string{"::ffff:192.0.2.1", "192.0.2.7"}, api, [3]int{10, 20, 20}},
		{"exempt", []string{"198.51.100.7", "2001:db8:7::1"}, api, [3]int{50, 0, 0}},
		{"loopback", []string{"127.0.0.1", "::1"}, api, [3]int{50, 0, 0}},
	} {
		for _, fast := range []bool{true, false} {
			s := limited(t, 10, "198.51.100.0/24", "2001:db8:7::/48")
			full, truncated, missing := fates(t, s, 50, c.clients, c.names, fast)
			if got := [3]int{full, truncated, missing}; got != c.want {
				t.Errorf("%s (fast path %v): %d, want %d", c.name, fast, got, c.want)
			}
			if st := s.Stats(); st.Slipped != uint64(truncated) || st.Dropped != uint64(missing) {
				t.Errorf("%s: counted %d slipped, %d dropped", c.name, st.Slipped, st.Dropped)
			}
		}
	}
}

// What is refused is limited as one, whatever was asked.
func TestRateLimitOfRefusals(t *testing.T) {
	s := limited(t, 10)
	full, truncated, missing := fates(t, s, 40, []string{"192.0.2.1"}, []string{"example.org.", "example.net."}, true)
	if full != 10 || truncated != 15 || missing != 15 {
		t.Errorf("%d full, %d truncated, %d missing", full, truncated, missing)
	}
}

func TestRateLimitForgetsAfterASecond(t *testing.T) {
	l, err := newLimiter(&RateLimit{PerSecond: 1})
	if err != nil {
		t.Fatal(err)
	}
	at, subject := time.Unix(1000, 0), []byte("x")
	addr := netip.MustParseAddr("192.0.2.1")
	for i, want := range []verdict{pass, drop, cut, drop} {
		if got := l.judge(addr, 0, subject, at); got != want {
			t.Errorf("answer %d: %v, want %v", i, got, want)
		}
	}
	if got := l.judge(addr, 0, subject, at.Add(time.Second)); got != pass {
		t.Errorf("a second later: %v", got)
	}
	for range 1 << 17 { // more than a slot can count
		l.judge(addr, 0, subject, at)
	}
	if got := l.judge(addr, 0, subject, at); got == pass {
		t.Error("the count went round")
	}
}

// Over TCP the address is not forged: no limit.
func TestRateLimitSparesTCP(t *testing.T) {
	s := limited(t, 1)
	packet := mustPack(t, new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA))
	for range 5 {
		if m := handled(t, s, packet, true); len(m.Answer) != 1 {
			t.Fatalf("%v", m)
		}
	}
}

func TestRateLimitAllocatesNothing(t *testing.T) {
	s := limited(t, 1)
	f := fastPath{s: s, count: s.meter.lane()}
	packet := fastQueries(t)["wildcard with EDNS"]
	var out [udpSize]byte
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { f.answer(packet, client, out[:], now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if st := s.Stats(); st.Dropped == 0 || st.Slipped == 0 {
		t.Errorf("%+v", st)
	}
}
