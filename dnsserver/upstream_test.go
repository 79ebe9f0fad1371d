package dnsserver

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A resolver is a scripted upstream: it remembers what it was asked and says
// what the script says, over UDP and TCP.
type resolver struct {
	addr   netip.AddrPort
	script func(q received) []*dns.Msg

	mu  sync.Mutex
	got []received
}

type received struct {
	*dns.Msg
	from netip.AddrPort
	tcp  bool
	n    int // how many came before
}

func scripted(t testing.TB, script func(q received) []*dns.Msg) *resolver {
	t.Helper()
	l, err := listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	r := &resolver{addr: l.bound, script: script}
	var running sync.WaitGroup
	running.Go(func() { r.serveUDP(l.udp) })
	running.Go(func() { r.serveTCP(l.tcp) })
	t.Cleanup(func() { l.close(); running.Wait() })
	return r
}

func (r *resolver) serveUDP(c *net.UDPConn) {
	buf := make([]byte, 4096)
	var answering sync.WaitGroup
	defer answering.Wait()
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		q := r.receive(buf[:n], from, false)
		answering.Go(func() {
			for _, m := range r.script(q) {
				packed, _ := m.Pack()
				c.WriteToUDPAddrPort(packed, from)
			}
		})
	}
}

func (r *resolver) serveTCP(l *net.TCPListener) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return
		}
		if packet, err := readFrame(c); err == nil {
			for _, m := range r.script(r.receive(packet, c.RemoteAddr().(*net.TCPAddr).AddrPort(), true)) {
				packed, _ := m.Pack()
				c.Write(frame(packed))
			}
		}
		c.Close()
	}
}

func (r *resolver) receive(packet []byte, from netip.AddrPort, tcp bool) received {
	m := new(dns.Msg)
	if err := m.Unpack(packet); err != nil {
		panic(err) // our own query
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	q := received{m, from, tcp, len(r.got)}
	r.got = append(r.got, q)
	return q
}

func (r *resolver) queries() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received{}, r.got...)
}

// says is an answer to q with records in presentation form.
func says(q received, rcode int, records ...string) *dns.Msg {
	m := new(dns.Msg).SetReply(q.Msg)
	m.Compress, m.Rcode, m.Authoritative = true, rcode, true
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		if rr.Header().Rrtype == dns.TypeSOA {
			m.Ns = append(m.Ns, rr)
			continue
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

// address answers every question with one address under the name asked.
func address(q received) []*dns.Msg {
	return []*dns.Msg{says(q, dns.RcodeSuccess, q.Question[0].Name+" 300 A 198.51.100.7")}
}

func silence(received) []*dns.Msg { return nil }

// forwarding serves the lab zone and forwards to upstreams, with less patience
// than in life.
func forwarding(t testing.TB, patience time.Duration, upstreams ...*resolver) (*Server, string) {
	t.Helper()
	s := New(Options{})
	c := Config{Listen: []netip.AddrPort{loopback}, Zones: []Zone{lab(1), reverse()}, Forward: &Forward{}}
	for _, u := range upstreams {
		c.Forward.Upstreams = append(c.Forward.Upstreams, u.addr)
	}
	if err := s.Set(c); err != nil {
		t.Fatal(err)
	}
	s.table.Load().forward.patience = patience
	return s, startedWith(t, s, c)
}
