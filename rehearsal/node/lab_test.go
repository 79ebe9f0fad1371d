package node_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A lab is a network on loopback: 192.0.2.x is 127.a.b.x with ports moved up,
// so that no test needs to be root and two runs do not meet.
type lab struct {
	t       testing.TB
	a, b    int
	dhcp    net.Addr // of its DHCP server, nil: none
	closers sync.WaitGroup
}

const portOffset = 20000

var labs atomic.Int32

func newLab(t testing.TB) *lab {
	l := &lab{t: t, a: 64 + os.Getpid()%64, b: os.Getpid()/64%16*16 + int(labs.Add(1))%16}
	t.Cleanup(l.closers.Wait)
	return l
}

// loopback is where an address of the lab really is.
func (l *lab) loopback(address string) string {
	host, port, err := net.SplitHostPort(address)
	addr, err2 := netip.ParseAddr(host)
	number, err3 := strconv.Atoi(port)
	if err := errors.Join(err, err2, err3); err != nil {
		panic(err)
	}
	return fmt.Sprintf("127.%d.%d.%d:%d", l.a, l.b, addr.As4()[3], number+portOffset)
}

func (l *lab) listen(address string) net.Listener {
	l.t.Helper()
	listener, err := net.Listen("tcp", l.loopback(address))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { listener.Close() })
	return listener
}

func (l *lab) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, l.loopback(address))
}

// A wire is a broadcast socket: what is sent to anybody goes to one server.
type wire struct {
	net.PacketConn
	server net.Addr
}

func (w wire) WriteTo(packet []byte, _ net.Addr) (int, error) {
	if w.server == nil {
		return len(packet), nil
	}
	return w.PacketConn.WriteTo(packet, w.server)
}

// A link is a host's end of a cable in the lab.
type link struct {
	lab *lab

	mu        sync.Mutex
	addr      netip.Addr
	gateway   netip.Addr
	up        bool
	listeners []net.Listener
}

func (k *link) Configure(addrs []netip.Prefix, gateway netip.Addr, _ int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.addr, k.gateway = netip.Addr{}, gateway
	if len(addrs) > 0 {
		k.addr = addrs[0].Addr()
	}
	return nil
}

func (k *link) Listen(network, address string) (net.Listener, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.up || !k.addr.IsValid() {
		return nil, errors.New("no address")
	}
	l, err := net.Listen(network, k.lab.loopback(k.addr.String()+address))
	if err == nil {
		k.listeners = append(k.listeners, l)
	}
	return l, err
}

func (k *link) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	k.mu.Lock()
	dead := !k.up || !k.addr.IsValid()
	k.mu.Unlock()
	if dead { // packets vanish
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return k.lab.dial(ctx, network, address)
}

// Broadcast has nobody listening, unless the lab has a DHCP server.
func (k *link) Broadcast(int) (net.PacketConn, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	return wire{conn, k.lab.dhcp}, err
}

func (k *link) Up() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.up = true
	return nil
}

func (k *link) Down() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.up = false
	for _, l := range k.listeners {
		l.Close()
	}
	return nil
}

// balance forwards a port of the balancer to the first member that accepts,
// beginning with another one each time.
func (l *lab) balance(port int, members ...string) {
	listener := l.listen(fmt.Sprintf("%s:%d", services, port))
	var turn atomic.Int32
	l.closers.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			first := int(turn.Add(1))
			l.closers.Go(func() {
				defer conn.Close()
				for i := range members {
					if l.forward(conn, fmt.Sprintf("%s:%d", members[(first+i)%len(members)], port)) {
						return
					}
				}
			})
		}
	})
}

func (l *lab) forward(conn net.Conn, member string) bool {
	out, err := net.Dial("tcp", l.loopback(member))
	if err != nil {
		return false
	}
	var ends sync.WaitGroup
	for _, pair := range [][2]net.Conn{{conn, out}, {out, conn}} {
		ends.Go(func() {
			io.Copy(pair[0], pair[1])
			pair[0].Close()
			pair[1].Close()
		})
	}
	ends.Wait()
	return true
}

const (
	services = "192.0.2.210"
	zone     = "mycluster.lab.test."
)

// A nameserver answers for the cluster's zone and the nodes' PTR records.
type nameserver map[string]string // name -> address, address -> name

func (n nameserver) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	asked := q.Question[0]
	name := strings.ToLower(asked.Name)
	value, known := n[name]
	if strings.HasSuffix(name, ".apps."+zone) {
		value, known = services, true
	}
	reply := new(dns.Msg).SetReply(q)
	reply.Authoritative = true
	text := ""
	switch {
	case !known:
		reply.Rcode = dns.RcodeNameError
	case asked.Qtype == dns.TypeA && !strings.HasSuffix(name, "in-addr.arpa."):
		text = asked.Name + " 60 IN A " + value
	case asked.Qtype == dns.TypePTR:
		text = asked.Name + " 60 IN PTR " + value
	}
	if text != "" {
		record, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		reply.Answer = []dns.RR{record}
	}
	w.WriteMsg(reply)
}

// serveDNS answers on the services address until the test ends.
func (l *lab) serveDNS(names nameserver) {
	l.t.Helper()
	packets, err := net.ListenPacket("udp", l.loopback(services+":53"))
	if err != nil {
		l.t.Fatal(err)
	}
	server := &dns.Server{PacketConn: packets, Handler: names}
	begun := make(chan struct{})
	server.NotifyStartedFunc = func() { close(begun) }
	l.closers.Go(func() { server.ActivateAndServe() })
	<-begun
	l.t.Cleanup(func() { server.Shutdown() })
}

// eventually waits for a condition to hold.
func eventually(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("after %s still not: %s", limit, what)
		case <-tick.C:
		}
	}
}
