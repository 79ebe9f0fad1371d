package provision

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/provision/probe"
)

// emptyDNS knows every name and no data, over TCP.
func emptyDNS(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, ended := make(chan struct{}), make(chan struct{})
	server := &dns.Server{Listener: l, NotifyStartedFunc: func() { close(begun) },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(new(dns.Msg).SetReply(q)) })}
	go func() {
		defer close(ended)
		server.ActivateAndServe()
	}()
	<-begun
	t.Cleanup(func() { server.Shutdown(); <-ended })
	return netip.MustParseAddrPort(l.Addr().String())
}

func closedTCP(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

// A resolver that is silent beside another one is a wrong answer; alone it is
// an error.
func TestAskEach(t *testing.T) {
	answering, silent := emptyDNS(t), closedTCP(t)
	questions := []probe.Question{{Name: "api.lab.test.", Type: "A", Want: probe.NODATA}, {Name: "x.lab.test.", Type: "A", Want: probe.NXDOMAIN}}
	all, err := askEach(t.Context(), &net.Dialer{}, []netip.AddrPort{silent, answering}, questions)
	if err != nil {
		t.Fatal(err)
	}
	want := []probe.Answer{
		{Question: questions[0], Server: silent, Got: "DNS server " + silent.String() + ": connection refused"},
		{Question: questions[0], Server: answering, Got: probe.NODATA, OK: true},
		{Question: questions[1], Server: answering, Got: probe.NODATA},
	}
	if diff := cmp.Diff(want, all, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if _, err := askEach(t.Context(), &net.Dialer{}, []netip.AddrPort{silent}, questions); err == nil {
		t.Error("a silent resolver is no error")
	}
	forbidden := dialFunc(func() error { return &sshx.Error{Class: sshx.Forwarding, Err: os.ErrPermission} })
	_, err = askEach(t.Context(), forbidden, []netip.AddrPort{silent, answering}, questions)
	if hint := Hint(adviseNode(err, dnsProject(t, "192.0.2.210", "192.0.2.201").cluster.Nodes[0])); !strings.Contains(hint, "AllowTcpForwarding") {
		t.Errorf("forwarding is forbidden: %v, hint %q", err, hint)
	}
}

type dialFunc func() error

func (f dialFunc) DialContext(context.Context, string, string) (net.Conn, error) { return nil, f() }

// A check makes nothing: neither a key nor an entry in the book.
func TestCheckDNSFromANodeWithoutTheClustersKey(t *testing.T) {
	p := dnsProject(t, "192.0.2.210", "192.0.2.201")
	_, err := p.CheckDNSFrom(t.Context(), p.cluster.Nodes[0], netip.AddrPort{})
	if err == nil || !strings.HasPrefix(err.Error(), "log in to control-0: ") || !strings.Contains(Hint(err), "slipway up") {
		t.Errorf("error %v, hint %q", err, Hint(err))
	}
	if left, _ := filepath.Glob(filepath.Join(p.Home, "*")); len(left) != 0 {
		t.Errorf("made %q", left)
	}
}

func TestDNSCheckNamesWhoAsked(t *testing.T) {
	check := DNSCheck{Cluster: "mycluster.lab.test", Node: "worker-0", Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("192.0.2.2:53")},
		Answers: []probe.Answer{{Question: probe.Question{Name: "x.", Want: probe.NODATA}, Got: probe.NXDOMAIN}}}
	if want := "1 of 1 answers of DNS server 192.0.2.1:53, 192.0.2.2:53, asked from worker-0, are wrong"; check.Err().Error() != want {
		t.Errorf("error %v, want %s", check.Err(), want)
	}
}
