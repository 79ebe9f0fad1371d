package dnsserver

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/internal/netlab/netlabtest"
)

// settle makes a process inside at home there.
func settle() error {
	if !netlabtest.IsInside() {
		return nil
	}
	dir, err := os.MkdirTemp("", "dnsserver")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	hosts, resolv := filepath.Join(dir, "hosts"), filepath.Join(dir, "resolv.conf")
	for _, file := range []string{hosts, resolv} {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			return err
		}
	}
	return netlab.Settle(hosts, resolv)
}

// A home is a network as people have it: the server at 192.0.2.210 and .211, a
// machine beside it, a resolver, and somebody from elsewhere.
type home struct {
	*netlab.Lab
	machine *netlab.Port
	router  *resolver
}

func newHome(t *testing.T) home {
	t.Helper()
	l, err := netlab.New()
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	gateway := netip.MustParseAddr("192.0.2.1")
	must(t, l.AddSegment("lan", netip.MustParsePrefix("192.0.2.1/24")))
	must(t, l.AddRemote(netip.MustParseAddr("198.51.100.77")))
	must(t, l.Connect("lan", "eth0", []netip.Prefix{netip.MustParsePrefix("192.0.2.210/24"), netip.MustParsePrefix("192.0.2.211/24")}, gateway))
	mac, err := net.ParseMAC("52:54:00:ab:cd:01")
	must(t, err)
	m, err := l.AddMachine("lan", mac)
	must(t, err)
	must(t, m.Configure([]netip.Prefix{netip.MustParsePrefix("192.0.2.201/24")}, gateway, 1500))
	must(t, m.Up())
	return home{l, m, routed(t, l)}
}

// routed is a scripted upstream at the gateway.
func routed(t *testing.T, l *netlab.Lab) *resolver {
	t.Helper()
	c, err := l.Datacentre().ListenPacket("udp", "192.0.2.1:53")
	must(t, err)
	r := &resolver{addr: c.LocalAddr().(*net.UDPAddr).AddrPort(), script: address}
	done := make(chan struct{})
	go func() { defer close(done); r.serveUDP(c.(*net.UDPConn)) }()
	t.Cleanup(func() { c.Close(); <-done })
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// askFrom asks the server at an address, from one of ours in a namespace. The
// socket hears nobody but that address.
func askFrom(t *testing.T, n *netlab.Namespace, from, to, name string) *dns.Msg {
	t.Helper()
	var c net.Conn
	must(t, n.Do(func() (err error) {
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c, err = d.DialContext(ctx, "udp", to+":53")
		return err
	}))
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	r, _, err := new(dns.Client).ExchangeWithConn(new(dns.Msg).SetQuestion(name, dns.TypeA), &dns.Conn{Conn: c})
	must(t, err)
	return r
}

func (h home) serve(t *testing.T, limit *RateLimit) *Server {
	t.Helper()
	s := New(Options{})
	startedWith(t, s, Config{
		Listen:    []netip.AddrPort{netip.MustParseAddrPort("192.0.2.210:53"), netip.MustParseAddrPort("192.0.2.211:53")},
		Zones:     []Zone{lab(1)},
		Forward:   &Forward{Upstreams: []netip.AddrPort{h.router.addr}, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
		RateLimit: limit,
	})
	return s
}

// Our names are for all, others' names for our network alone; replies come
// from the address that was asked.
func TestNetForwardingIsForTheNetworkOnly(t *testing.T) {
	if !netlabtest.Inside(t) {
		return
	}
	h := newHome(t)
	h.serve(t, nil)
	for _, to := range []string{"192.0.2.210", "192.0.2.211"} {
		if r := askFrom(t, h.Datacentre(), "198.51.100.77", to, "api.mycluster.lab.test."); len(r.Answer) != 1 || r.RecursionAvailable {
			t.Errorf("%s, our name, from elsewhere:\n%v", to, r)
		}
		if r := askFrom(t, h.Datacentre(), "198.51.100.77", to, "www.example.org."); r.Rcode != dns.RcodeRefused || r.RecursionAvailable {
			t.Errorf("%s, a foreign name, from elsewhere:\n%v", to, r)
		}
	}
	if got := h.router.queries(); len(got) != 0 {
		t.Errorf("the upstream was asked for a stranger: %v", got)
	}
	for _, to := range []string{"192.0.2.210", "192.0.2.211"} {
		if r := askFrom(t, h.machine.Namespace, "192.0.2.201", to, "www.example.org."); len(r.Answer) != 1 || !r.RecursionAvailable {
			t.Errorf("%s, a foreign name, from the network:\n%v", to, r)
		}
	}
	if got := h.router.queries(); len(got) != 1 {
		t.Errorf("the upstream was asked %d times, want once", len(got))
	}
}

// A flood with one forged address brings that address little.
func TestNetFloodIsLimited(t *testing.T) {
	if !netlabtest.Inside(t) {
		return
	}
	h := newHome(t)
	s := h.serve(t, &RateLimit{PerSecond: 20, Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	c, err := h.Datacentre().ListenPacket("udp", "198.51.100.77:5353")
	must(t, err)
	defer c.Close()
	const flood = 5000
	packet := mustPack(t, new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA))
	began := time.Now()
	for i := range uint64(flood) {
		c.WriteTo(packet, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.210:53")))
		if i%500 == 499 { // no faster than they are read, so that all count
			within(t, "the packets were read", func() bool { return s.Stats().UDP > i })
		}
	}
	st := s.Stats()
	sent := flood - st.Dropped - st.Slipped
	if most := 20 * (2 + uint64(time.Since(began).Seconds())); sent > most || sent < 20 {
		t.Errorf("%d whole answers, want 20 to %d", sent, most)
	}
	if d := int64(st.Dropped) - int64(st.Slipped); d < 0 || d > 100 {
		t.Errorf("%d dropped, %d slipped: want as many", st.Dropped, st.Slipped)
	}
	if r := askFrom(t, h.machine.Namespace, "192.0.2.201", "192.0.2.210", "api.mycluster.lab.test."); len(r.Answer) != 1 {
		t.Errorf("an exempt client received\n%v", r)
	}
}
