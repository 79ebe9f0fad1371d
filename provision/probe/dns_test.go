package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/sshx"
)

// dnsServer answers over UDP and TCP as handle says, and returns its address.
func dnsServer(t *testing.T, handle dns.HandlerFunc) netip.AddrPort {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{Listener: tcp, Handler: handle}, {PacketConn: udp, Handler: handle}} {
		begun, ended := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(begun) }
		go func() {
			defer close(ended)
			s.ActivateAndServe()
		}()
		<-begun
		t.Cleanup(func() {
			s.Shutdown()
			<-ended
		})
	}
	return netip.MustParseAddrPort(tcp.Addr().String())
}

// scripted answers each name as its first label says.
func scripted() dns.HandlerFunc {
	var garbled atomic.Bool
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		name := q.Question[0].Name
		add := func(records ...string) {
			for _, text := range records {
				rr, err := dns.NewRR(text)
				if err != nil {
					panic(err)
				}
				m.Answer = append(m.Answer, rr)
			}
		}
		switch label, _, _ := strings.Cut(name, "."); label {
		case "two":
			add(name+" A 192.0.2.9", name+" A 192.0.2.10")
		case "alias":
			add(name+" CNAME api.lab.test.", "api.lab.test. A 192.0.2.210")
		case "pointer":
			add(name + " PTR API.lab.test.")
		case "absent":
			m.Rcode = dns.RcodeNameError
		case "refused":
			m.Rcode = dns.RcodeRefused
		case "long":
			if m.Truncated = w.LocalAddr().Network() == "udp"; !m.Truncated {
				add(name + " A 192.0.2.210")
			}
		case "garbled":
			if garbled.CompareAndSwap(false, true) {
				w.Write([]byte{1, 2, 3})
				return
			}
			add(name + " A 192.0.2.210")
		}
		w.WriteMsg(m)
	}
}

func TestDNS(t *testing.T) {
	tests := []struct {
		name, question, kind, want, got string
		ok                              bool
	}{
		{"a set of two, in order", "two.lab.test.", "A", "192.0.2.10, 192.0.2.9", "192.0.2.10, 192.0.2.9", true},
		{"one too many", "two.lab.test.", "A", "192.0.2.9", "192.0.2.10, 192.0.2.9", false},
		{"an alias counts as what it leads to", "alias.lab.test.", "A", "192.0.2.210", "192.0.2.210", true},
		{"names are equal in any case", "pointer.lab.test.", "PTR", "api.lab.test.", "API.lab.test.", true},
		{"an absent name", "absent.lab.test.", "A", NXDOMAIN, NXDOMAIN, true},
		{"NXDOMAIN is not NODATA", "absent.lab.test.", "AAAA", NODATA, NXDOMAIN, false},
		{"no record of the type", "empty.lab.test.", "AAAA", NODATA, NODATA, true},
		{"an alias without data", "alias.lab.test.", "AAAA", NODATA, NODATA, true},
		{"another response code", "refused.lab.test.", "A", NXDOMAIN, "REFUSED", false},
		{"a cut answer is asked for over TCP", "long.lab.test.", "A", "192.0.2.210", "192.0.2.210", true},
		{"a spoilt packet is asked for again", "garbled.lab.test.", "A", "192.0.2.210", "192.0.2.210", true},
		{"a type nobody knows", "two.lab.test.", "B", NODATA, `type "B" is unknown`, false},
	}
	at := dnsServer(t, scripted())
	var questions []Question
	var want []Answer
	for _, test := range tests {
		q := Question{Name: test.question, Type: test.kind, Want: test.want}
		questions, want = append(questions, q), append(want, Answer{q, at, test.got, test.ok})
	}
	got, err := DNS(t.Context(), at, questions)
	if err != nil {
		t.Fatal(err)
	}
	for i, test := range tests {
		if diff := cmp.Diff(want[i], got[i], cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	var elsewhere tcpOnly
	through, err := DNSThrough(t.Context(), &elsewhere, at, questions)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, through, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" || elsewhere.opened.Load() == 0 {
		t.Errorf("over %d connections of a dialer (-here +through):\n%s", elsewhere.opened.Load(), diff)
	}
}

// tcpOnly dials as a forwarder of connections does.
type tcpOnly struct{ opened atomic.Int32 }

func (d *tcpOnly) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" {
		return nil, net.UnknownNetworkError(network)
	}
	d.opened.Add(1)
	return new(net.Dialer).DialContext(ctx, network, address)
}

func TestDNSOfAServerThatIsNotThere(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(l.LocalAddr().String())
	l.Close()
	_, err = DNS(t.Context(), at, []Question{{"api.lab.test.", "A", NODATA}})
	if want := "DNS server " + at.String() + ": connection refused"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestDNSEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	silent := dnsServer(t, func(dns.ResponseWriter, *dns.Msg) { cancel(enough) })
	if answers, err := DNS(ctx, silent, []Question{{"api.lab.test.", "A", NODATA}}); err == nil {
		t.Errorf("answers %v after the context ended", answers)
	}
	some := dnsServer(t, func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(new(dns.Msg).SetReply(q)) })
	if _, err := DNS(ctx, some, []Question{{"api.lab.test.", "A", NODATA}}); err == nil {
		t.Error("a question was asked after the context ended")
	}
}

func TestReason(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "no response within 2s"},
		{context.DeadlineExceeded, "no response within 2s"},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("recvfrom", syscall.ECONNREFUSED)}, "connection refused"},
		{dns.ErrId, "dns: id mismatch"},
		{&sshx.Error{Class: sshx.Dropped, Address: netip.MustParseAddrPort("192.0.2.204:22"), Err: syscall.ECONNRESET}, "ssh 192.0.2.204:22: connection dropped: connection reset by peer"},
	}
	for _, test := range tests {
		if got := reason(test.err); got.Error() != test.want {
			t.Errorf("reason(%v) = %q, want %q", test.err, got, test.want)
		}
	}
}
