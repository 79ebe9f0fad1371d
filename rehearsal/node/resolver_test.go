package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// startDNS answers at a loopback port, UDP and TCP, until the test ends, and
// returns a dial that leads there for server and nowhere for any other.
func startDNS(t *testing.T, server string, handler dns.HandlerFunc) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	connections, err := net.Listen("tcp", "127.0.0.1:0") // first: TCP ports are scarcer
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", connections.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: connections, Handler: handler}} {
		begun := make(chan struct{})
		s.NotifyStartedFunc = func() { close(begun) }
		running.Go(func() { s.ActivateAndServe() })
		<-begun
		t.Cleanup(func() { s.Shutdown() })
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != server+":53" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		var d net.Dialer
		return d.DialContext(ctx, network, packets.LocalAddr().String())
	}
}

// zoneHandler knows a few names; those of broken.test make it fail.
func zoneHandler(w dns.ResponseWriter, q *dns.Msg) {
	reply := new(dns.Msg).SetReply(q)
	name, kind := q.Question[0].Name, q.Question[0].Qtype
	_, udp := w.RemoteAddr().(*net.UDPAddr)
	switch {
	case strings.HasSuffix(name, "broken.test."):
		reply.Rcode = dns.RcodeServerFailure
	case name == "big.lab.test." && udp:
		reply.Truncated = true
	case strings.HasSuffix(name, ".apps.lab.test.") || name == "api.lab.test." || name == "big.lab.test.":
		if kind == dns.TypeA {
			record, _ := dns.NewRR(name + " 60 IN A 192.0.2.210")
			reply.Answer = append(reply.Answer, record)
		}
	case name == "201.2.0.192.in-addr.arpa.":
		record, _ := dns.NewRR(name + " 60 IN PTR control-0.lab.test.")
		reply.Answer = append(reply.Answer, record)
	default:
		reply.Rcode = dns.RcodeNameError
	}
	w.WriteMsg(reply)
}

func TestResolver(t *testing.T) {
	dial := startDNS(t, "192.0.2.210", zoneHandler)
	server, silent := netip.MustParseAddr("192.0.2.210"), netip.MustParseAddr("192.0.2.99")
	tests := []struct {
		name, ask string
		servers   []netip.Addr
		search    []string
		want      string
	}{
		{"a name", "api.lab.test", []netip.Addr{server}, nil, "[192.0.2.210] <nil>"},
		{"cut over UDP, whole over TCP", "big.lab.test", []netip.Addr{server}, nil, "[192.0.2.210] <nil>"},
		{"no such name", "no.lab.test", []netip.Addr{server}, nil, "[] lookup no.lab.test: no such host"},
		{"a search domain finds it", "no.lab.test", []netip.Addr{server}, []string{"apps.lab.test"}, "[192.0.2.210] <nil>"},
		{"a final dot keeps the search out", "no.lab.test.", []netip.Addr{server}, []string{"apps.lab.test"}, "[] lookup no.lab.test.: no such host"},
		{"the second server answers", "api.lab.test", []netip.Addr{silent, server}, nil, "[192.0.2.210] <nil>"},
		{"no server", "api.lab.test", nil, nil, "[] lookup api.lab.test: no DNS server is configured\nno DNS server is configured"},
		{"server fails", "a.broken.test", []netip.Addr{server}, []string{"apps.lab.test"},
			"[] lookup a.broken.test: DNS server 192.0.2.210 answers SERVFAIL\nDNS server 192.0.2.210 answers SERVFAIL"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := resolver{servers: test.servers, search: test.search, dial: dial, timeout: 300 * time.Millisecond}
			addrs, err := r.lookup(t.Context(), test.ask)
			if diff := cmp.Diff(test.want, fmt.Sprint(addrs, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
	r := resolver{servers: []netip.Addr{server}, dial: dial, timeout: time.Second}
	if got := r.reverse(t.Context(), netip.MustParseAddr("192.0.2.201")); got != "control-0.lab.test" {
		t.Errorf("PTR %q", got)
	}
	if got := r.reverse(t.Context(), netip.MustParseAddr("192.0.2.202")); got != "" {
		t.Errorf("PTR of nobody %q", got)
	}
}
