package dnsserver

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/slipway-project/slipway/internal/portholder"
)

// A listener is one address, UDP and TCP. One socket an address, so that
// answers leave from the address that was asked.
type listener struct {
	bound    netip.AddrPort
	udp      *net.UDPConn
	tcp      *net.TCPListener
	stopping atomic.Bool
	busy     sync.WaitGroup // readers, connections and queries under way
}

// past makes reads return at once.
var past = time.Unix(1, 0)

// listen binds both sockets; with port 0 it looks for a port free in both.
func listen(a netip.AddrPort) (*listener, error) {
	for try := 0; ; try++ {
		l, err := bind(a)
		if a.Port() != 0 || try == 10 || !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
	}
}

func bind(a netip.AddrPort) (*listener, error) {
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(a))
	if err != nil {
		return nil, portholder.Explain("tcp", a, err)
	}
	bound := netip.AddrPortFrom(a.Addr(), tcp.Addr().(*net.TCPAddr).AddrPort().Port())
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(bound))
	if err != nil {
		tcp.Close()
		return nil, portholder.Explain("udp", bound, err)
	}
	udp.SetReadBuffer(1 << 20) // best effort: room for a burst of booting hosts
	return &listener{bound: bound, udp: udp, tcp: tcp}, nil
}

// run serves until stop, then waits for what is under way and closes.
func (l *listener) run(s *Server) {
	l.busy.Go(func() { l.readUDP(s) })
	l.busy.Go(func() { l.accept(s) })
	l.busy.Wait()
	l.close()
}

// stop makes the readers leave; what they read before is still answered.
func (l *listener) stop() {
	l.stopping.Store(true)
	l.udp.SetReadDeadline(past)
	l.tcp.Close()
}

func (l *listener) close() {
	l.udp.Close()
	l.tcp.Close()
}

// writeUDP sends a reply; that a client is gone is its own business.
func (l *listener) writeUDP(reply []byte, client netip.AddrPort) {
	if len(reply) > 0 {
		l.udp.WriteToUDPAddrPort(reply, client)
	}
}
