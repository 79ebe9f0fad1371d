package dnsserver

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/slipway-project/slipway/internal/testbed"
)

func TestMain(m *testing.M) {
	if err := settle(); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// lab is a cluster's zone as the services document has it.
func lab(serial uint32, more ...Record) Zone {
	return Zone{
		Name: "mycluster.lab.test.", Serial: serial, NS: "ns1.mycluster.lab.test.", TTL: 300, MinTTL: 60,
		Records: append([]Record{
			{Name: "ns1.mycluster.lab.test.", Type: "A", Data: "192.0.2.210"},
			{Name: "api.mycluster.lab.test.", Type: "A", Data: "192.0.2.210"},
			{Name: "*.apps.mycluster.lab.test.", Type: "A", Data: "192.0.2.211"},
			{Name: "control-0.mycluster.lab.test.", Type: "A", Data: "192.0.2.201"},
			{Name: "out.mycluster.lab.test.", Type: "CNAME", Data: "www.example.net."},
		}, more...),
	}
}

func reverse() Zone {
	return Zone{
		Name: "2.0.192.in-addr.arpa.", Serial: 1, NS: "ns1.mycluster.lab.test.", TTL: 300, MinTTL: 60,
		Records: []Record{{Name: "201.2.0.192.in-addr.arpa.", Type: "PTR", Data: "control-0.mycluster.lab.test."}},
	}
}

// started serves c on a loopback port until the test ends.
func started(t testing.TB, o Options, c Config) (*Server, string) {
	t.Helper()
	s := New(o)
	return s, startedWith(t, s, c)
}

func startedWith(t testing.TB, s *Server, c Config) string {
	t.Helper()
	if c.Listen == nil {
		c.Listen = []netip.AddrPort{loopback}
	}
	if err := s.Set(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s.Addrs()[0].String()
}

// ask sends one query and returns the answer.
func ask(t testing.TB, network, addr, name string, qtype uint16) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, qtype)
	r, _, err := (&dns.Client{Net: network, Timeout: 10 * time.Second}).Exchange(m, addr)
	if err != nil {
		t.Fatalf("%s %s %s: %v", network, name, dns.TypeToString[qtype], err)
	}
	return r
}

// within ends the test when cond does not become true in good time.
func within(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

func dialUDP(t testing.TB, addr netip.AddrPort) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", addr.String())
	if err != nil {
		if addr.Addr().Is4() {
			t.Fatal(err)
		}
		testbed.Missing(t, "IPv6 on the loopback interface: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// data returns the records of a section without owner and TTL.
func data(section []dns.RR) []string {
	out := []string{}
	for _, rr := range section {
		out = append(out, typeName(rr.Header().Rrtype)+" "+dataText(rr))
	}
	return out
}
