package dnsserver

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

const soon = 100 * time.Millisecond

func TestForeignNameIsForwarded(t *testing.T) {
	u := scripted(t, address)
	_, addr := forwarding(t, time.Second, u)
	r := ask(t, "udp", addr, "WWW.example.ORG.", dns.TypeA)
	if d := cmp.Diff([]string{"A 198.51.100.7"}, data(r.Answer)); d != "" {
		t.Error(d)
	}
	if r.Authoritative || !r.RecursionAvailable || r.Answer[0].Header().Name != "WWW.example.ORG." || r.Question[0].Name != "WWW.example.ORG." {
		t.Errorf("AA, RA or the letters of the name are wrong:\n%v", r)
	}
}

func TestNameUnderOurZonesIsNeverForwarded(t *testing.T) {
	u := scripted(t, address)
	_, addr := forwarding(t, time.Second, u)
	for _, c := range []struct {
		name  string
		qtype uint16
		rcode int
	}{
		{"validateNoWildcardDNS.mycluster.lab.test.", dns.TypeA, dns.RcodeNameError},
		{"api.mycluster.lab.test.", dns.TypeAAAA, dns.RcodeSuccess},
		{"99.2.0.192.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError},
		{"4.3.2.10.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError}, // RFC 6303
		{"1.0.d.f.ip6.arpa.", dns.TypePTR, dns.RcodeNameError},
	} {
		if r := ask(t, "udp", addr, c.name, c.qtype); r.Rcode != c.rcode || len(r.Ns) != 1 || len(r.Answer) != 0 {
			t.Errorf("%s:\n%v", c.name, r)
		}
	}
	if got := u.queries(); len(got) != 0 {
		t.Errorf("upstream was asked: %v", got)
	}
}

func TestAliasIntoTheWorldIsFollowedForWhoMay(t *testing.T) {
	_, addr := forwarding(t, time.Second, scripted(t, address))
	r := ask(t, "udp", addr, "out.mycluster.lab.test.", dns.TypeA)
	if d := cmp.Diff([]string{"CNAME www.example.net.", "A 198.51.100.7"}, data(r.Answer)); d != "" || !r.Authoritative {
		t.Errorf("AA %t (-want +got):\n%s", r.Authoritative, d)
	}
}

func TestWhoMayForward(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	err := s.Set(Config{Zones: []Zone{lab(1)}, Forward: &Forward{
		Upstreams: []netip.AddrPort{netip.MustParseAddrPort("198.51.100.53:53")},
		Allow:     []netip.Prefix{netip.MustParsePrefix("192.0.2.99/24"), netip.MustParsePrefix("2001:db8::/32")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		client string
		rd     bool
		want   bool
	}{
		{"192.0.2.201", true, true},
		{"::ffff:192.0.2.201", true, true},
		{"2001:db8::7", true, true},
		{"127.0.0.1", true, true},
		{"203.0.113.9", true, false},
		{"192.0.2.201", false, false}, // RD=0 is never forwarded
	} {
		m := new(dns.Msg).SetQuestion("example.org.", dns.TypeA)
		m.RecursionDesired = c.rd
		reply, later := s.handle(mustPack(t, m), netip.AddrPortFrom(netip.MustParseAddr(c.client), 4242), false)
		if got := later != nil; got != c.want {
			t.Errorf("%s RD=%t: forwarded is %t", c.client, c.rd, got)
		}
		if later == nil && reply[3]&15 != dns.RcodeRefused {
			t.Errorf("%s RD=%t: rcode %d, want REFUSED", c.client, c.rd, reply[3]&15)
		}
		if ra := later == nil && reply[3]&0x80 != 0; ra && c.rd {
			t.Errorf("%s: RA set for who may not", c.client)
		}
	}
}

func TestSilentUpstreamIsLeftAlone(t *testing.T) {
	dead, alive := scripted(t, silence), scripted(t, address)
	_, addr := forwarding(t, soon, dead, alive)
	for _, name := range []string{"one.example.", "two.example.", "three.example."} {
		if r := ask(t, "udp", addr, name, dns.TypeA); len(r.Answer) != 1 {
			t.Fatalf("%s:\n%v", name, r)
		}
	}
	if n := len(dead.queries()); n != 1 {
		t.Errorf("the silent upstream was asked %d times, want 1", n)
	}
	var u upstream
	u.silent.Store(time.Unix(1000, 0).UnixNano())
	if !u.down(time.Unix(1029, 0)) || u.down(time.Unix(1030, 0)) {
		t.Error("silence is not remembered for 30 s")
	}
}

func TestUpstreamsAreGivenUpBeforeTheClientDoes(t *testing.T) {
	if budget >= 5*time.Second || patience > 2*time.Second {
		t.Errorf("budget %s, patience %s", budget, patience)
	}
	dead := scripted(t, silence)
	_, addr := forwarding(t, soon, dead)
	start := time.Now()
	if r := ask(t, "udp", addr, "example.org.", dns.TypeA); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("%v", r)
	}
	if took := time.Since(start); took < rounds*soon {
		t.Errorf("SERVFAIL after %s, want %s at least", took, rounds*soon)
	}
	// The last question may still be on its way to the script.
	for deadline := time.Now().Add(5 * time.Second); len(dead.queries()) < rounds && time.Now().Before(deadline); {
		<-time.After(time.Millisecond)
	}
	if n := len(dead.queries()); n != rounds {
		t.Errorf("asked %d times, want %d", n, rounds)
	}
}

func TestRefusingUpstreamIsNotTheLastWord(t *testing.T) {
	refuses := scripted(t, func(q received) []*dns.Msg { return []*dns.Msg{says(q, dns.RcodeRefused)} })
	_, addr := forwarding(t, time.Second, refuses, scripted(t, address))
	if r := ask(t, "udp", addr, "example.org.", dns.TypeA); len(r.Answer) != 1 {
		t.Errorf("%v", r)
	}
}

func TestCutAnswerIsFetchedOverTCP(t *testing.T) {
	u := scripted(t, func(q received) []*dns.Msg {
		m := says(q, dns.RcodeSuccess)
		if m.Truncated = !q.tcp; q.tcp {
			m = address(q)[0]
		}
		return []*dns.Msg{m}
	})
	_, addr := forwarding(t, time.Second, u)
	if r := ask(t, "udp", addr, "example.org.", dns.TypeA); len(r.Answer) != 1 || r.Truncated {
		t.Errorf("%v", r)
	}
}

// Only the last packet answers the question; the others are what a forger or a
// confused server sends.
func TestWrongAnswersAreDropped(t *testing.T) {
	other, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(loopback))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	u := scripted(t, func(q received) []*dns.Msg {
		forged := says(q, dns.RcodeSuccess, q.Question[0].Name+" 300 A 203.0.113.66")
		packed, _ := forged.Pack()
		other.WriteToUDPAddrPort(packed, q.from) // right but for where it comes from
		change := func(edit func(m *dns.Msg)) *dns.Msg {
			m := forged.Copy()
			edit(m)
			return m
		}
		return []*dns.Msg{
			change(func(m *dns.Msg) { m.Id++ }),
			change(func(m *dns.Msg) { m.Response = false }),
			change(func(m *dns.Msg) { m.Question[0].Name = "example.com." }),
			change(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }),
			change(func(m *dns.Msg) { m.Question = nil }),
			change(func(m *dns.Msg) { m.Question[0].Name = strings.ToLower(m.Question[0].Name) }),
			address(q)[0],
		}
	})
	_, addr := forwarding(t, 5*time.Second, u)
	r := ask(t, "udp", addr, "example.org.", dns.TypeA)
	if d := cmp.Diff([]string{"A 198.51.100.7"}, data(r.Answer)); d != "" {
		t.Error(d)
	}
	if got := u.queries(); len(got) != 1 || got[0].tcp {
		t.Errorf("asked %d times", len(got))
	}
}

func TestUpstreamThatLowersNamesIsBelievedOverTCP(t *testing.T) {
	u := scripted(t, func(q received) []*dns.Msg {
		q.Question[0].Name = strings.ToLower(q.Question[0].Name)
		return address(q)
	})
	_, addr := forwarding(t, 2*soon, u)
	for _, name := range []string{"one.example.", "two.example."} {
		if r := ask(t, "udp", addr, name, dns.TypeA); len(r.Answer) != 1 {
			t.Errorf("%v", r)
		}
	}
	if n := len(u.queries()); n != 3 {
		t.Errorf("%d queries, want UDP and TCP for the first name, UDP for the second", n)
	}
}

func TestQueriesCannotBeGuessed(t *testing.T) {
	u := scripted(t, address)
	_, addr := forwarding(t, time.Second, u)
	const n = 200
	for i := range n {
		ask(t, "udp", addr, "host"+string(rune('a'+i%26))+string(rune('a'+i/26))+".example.org.", dns.TypeA)
	}
	ports, ids, spellings := map[uint16]bool{}, map[uint16]bool{}, map[string]bool{}
	for _, q := range u.queries() {
		ports[q.from.Port()], ids[q.Id], spellings[q.Question[0].Name[6:]] = true, true, true
	}
	if len(ports) < n*9/10 || len(ids) < n*9/10 || len(spellings) < n*8/10 {
		t.Errorf("of %d queries: %d ports, %d ids, %d spellings", n, len(ports), len(ids), len(spellings))
	}
}

func TestUpstreamWithoutEDNSIsAskedWithout(t *testing.T) {
	for _, rcode := range []int{dns.RcodeFormatError, dns.RcodeNotImplemented} {
		u := scripted(t, func(q received) []*dns.Msg {
			if q.IsEdns0() != nil {
				return []*dns.Msg{{MsgHdr: dns.MsgHdr{Id: q.Id, Response: true, Rcode: rcode}}}
			}
			return address(q)
		})
		_, addr := forwarding(t, time.Second, u)
		if r := ask(t, "udp", addr, "example.org.", dns.TypeA); len(r.Answer) != 1 {
			t.Errorf("%s:\n%v", dns.RcodeToString[rcode], r)
		}
	}
}

func TestNegativeAnswerPassesAndIsRemembered(t *testing.T) {
	u := scripted(t, func(q received) []*dns.Msg {
		return []*dns.Msg{says(q, dns.RcodeNameError, "example.org. 300 SOA ns.example.org. h.example.org. 1 2 3 4 60")}
	})
	s, addr := forwarding(t, time.Second, u)
	for range 2 {
		r := ask(t, "udp", addr, "nope.example.org.", dns.TypeA)
		if d := cmp.Diff([]string{"SOA ns.example.org. h.example.org. 1 2 3 4 60"}, data(r.Ns)); d != "" || r.Rcode != dns.RcodeNameError || r.Authoritative {
			t.Errorf("%v\n%s", r, d)
		}
	}
	if n, hits := len(u.queries()), s.Stats().CacheHits; n != 1 || hits != 1 {
		t.Errorf("asked %d times, %d cache hits", n, hits)
	}
}

func TestSameQuestionIsAskedOnce(t *testing.T) {
	const clients = 20
	release := make(chan struct{})
	u := scripted(t, func(q received) []*dns.Msg { <-release; return address(q) })
	s, addr := forwarding(t, 5*time.Second, u)
	var asking sync.WaitGroup
	for range clients {
		asking.Go(func() {
			m := new(dns.Msg).SetQuestion("example.org.", dns.TypeA)
			r, _, err := (&dns.Client{Timeout: 5 * time.Second}).Exchange(m, addr)
			if err != nil || len(r.Answer) != 1 {
				t.Errorf("%v %v", r, err)
			}
		})
	}
	within(t, "all are waiting", func() bool { return len(s.slots) == clients })
	close(release)
	asking.Wait()
	if n := len(u.queries()); n != 1 {
		t.Errorf("upstream was asked %d times", n)
	}
}

func TestLoopEndsAtOnce(t *testing.T) {
	a, b := New(Options{}), New(Options{})
	here := Config{Listen: []netip.AddrPort{loopback}}
	through := func(s *Server) Config {
		return Config{Listen: here.Listen, Forward: &Forward{Upstreams: s.Addrs()}}
	}
	for _, set := range []error{a.Set(here), b.Set(through(a)), a.Set(through(b))} {
		if set != nil {
			t.Fatal(set)
		}
	}
	for _, s := range []*Server{a, b} {
		s.table.Load().forward.patience = soon
		// Letters are left alone, so that neither knows its own query: each
		// waits for the other once, and nothing multiplies.
		s.table.Load().forward.upstreams[0].folds.Store(true)
	}
	addr := startedWith(t, a, through(b))
	startedWith(t, b, through(a))
	if r := ask(t, "udp", addr, "example.org.", dns.TypeA); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("%v", r)
	}
	if n := a.Stats().Forwarded + b.Stats().Forwarded; n < 2 || n > 4*rounds {
		t.Errorf("%d queries went round", n)
	}
}

func TestOwnQueryIsKnownWhenItComesBack(t *testing.T) {
	s := New(Options{})
	back := make(chan struct{}, 1)
	self := make(chan *net.UDPAddr, 1)
	u := scripted(t, func(q received) []*dns.Msg { // a forwarder that forwards to us
		c, err := net.DialUDP("udp", nil, <-self)
		if err != nil {
			panic(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		packed, _ := q.Msg.Pack()
		c.Write(packed)
		buf := make([]byte, 512)
		n, _ := c.Read(buf)
		m := new(dns.Msg)
		if m.Unpack(buf[:n]) == nil {
			back <- struct{}{}
			return []*dns.Msg{m}
		}
		return nil
	})
	c := Config{Listen: []netip.AddrPort{loopback}, Forward: &Forward{Upstreams: []netip.AddrPort{u.addr}}}
	if err := s.Set(c); err != nil {
		t.Fatal(err)
	}
	self <- net.UDPAddrFromAddrPort(s.Addrs()[0])
	addr := startedWith(t, s, c)
	if r := ask(t, "udp", addr, "example.org.", dns.TypeA); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("%v", r)
	}
	<-back
	if st := s.Stats(); st.Loops != 1 || st.Forwarded != 1 {
		t.Errorf("loops %d, forwarded %d", st.Loops, st.Forwarded)
	}
}

func TestForwardedAnswerIsOvertaken(t *testing.T) {
	release := make(chan struct{})
	u := scripted(t, func(q received) []*dns.Msg { <-release; return address(q) })
	_, addr := forwarding(t, 5*time.Second, u)
	c := dial(t, addr)
	first, second := new(dns.Msg).SetQuestion("example.org.", dns.TypeA), new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA)
	if _, err := c.Write(append(frame(mustPack(t, first)), frame(mustPack(t, second))...)); err != nil {
		t.Fatal(err)
	}
	var order []uint16
	for range 2 {
		packet, err := readFrame(c)
		if err != nil {
			t.Fatal(err)
		}
		if order = append(order, be16(packet, 0)); len(order) == 1 {
			close(release)
		}
	}
	if d := cmp.Diff([]uint16{second.Id, first.Id}, order); d != "" {
		t.Error(d)
	}
}
