package dhcpserver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
)

// probeEvery is how often a server looks whether it is still alone: with the
// seconds that it takes, a rival is known of within a minute.
const probeEvery = 50 * time.Second

// A Server answers on one link, see [Listen].
type Server struct {
	conn   net.PacketConn
	notice func(Notice)
	every  time.Duration // looks for rivals

	mu        sync.Mutex
	c         Config
	rival     netip.Addr   // answers beside us; zero: nobody does
	strangers map[MAC]bool // who was told of
}

// ErrRival is why Listen refuses: another server answers on the link.
type ErrRival struct {
	Interface string
	Server    netip.Addr
}

func (e *ErrRival) Error() string {
	return fmt.Sprintf("DHCP server %s answers on %s already", e.Server, e.Interface)
}

// Listen opens port 67 on the link of c, after asking for three seconds
// whether somebody else serves there ([ErrRival]). notice may be nil; it is
// called from [Server.Serve]. It needs CAP_NET_BIND_SERVICE and CAP_NET_RAW.
func Listen(ctx context.Context, c Config, notice func(Notice)) (*Server, error) {
	if err := Validate(c); err != nil {
		return nil, err
	}
	if rival, err := Probe(ctx, c.Interface, c.Server.Addr()); err != nil {
		return nil, err
	} else if rival.IsValid() {
		return nil, &ErrRival{c.Interface, rival}
	}
	conn, err := server4.NewIPv4UDPConn(c.Interface, &net.UDPAddr{Port: dhcpv4.ServerPort})
	if err != nil {
		return nil, fmt.Errorf("DHCP on %s: %w", c.Interface, err)
	}
	if notice == nil {
		notice = func(Notice) {}
	}
	return &Server{conn: conn, notice: notice, every: probeEvery, c: c, strangers: map[MAC]bool{}}, nil
}

// Set replaces what is handed out; the link stays the one listened on. Leases
// that are out end when they are renewed.
func (s *Server) Set(c Config) error {
	if err := Validate(c); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Interface != s.c.Interface {
		return fmt.Errorf("DHCP listens on %s, not on %s", s.c.Interface, c.Interface)
	}
	s.c = c
	return nil
}

// Rival is the other server that keeps this one silent; zero: there is none.
func (s *Server) Rival() netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rival
}

// Serve answers until ctx ends, which is no error, and closes the port.
func (s *Server) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { s.stayAlone(ctx) })
	defer wg.Wait()
	buffer := make([]byte, 1<<16)
	for {
		n, _, err := s.conn.ReadFrom(buffer)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("DHCP: %w", err)
		}
		s.handle(buffer[:n])
	}
}

// handle answers one packet. A reply that cannot be sent is asked for again by
// the client.
func (s *Server) handle(packet []byte) {
	m, err := dhcpv4.FromBytes(packet)
	if err != nil {
		return
	}
	s.mu.Lock()
	c, silent := s.c, s.rival.IsValid()
	s.mu.Unlock()
	if silent {
		return
	}
	reply := Reply(c, m)
	s.tell(c, m, reply)
	if reply != nil {
		_, _ = s.conn.WriteTo(reply.ToBytes(), destination(reply))
	}
}

func (s *Server) tell(c Config, m, reply *dhcpv4.DHCPv4) {
	r, ours := c.reservation(m)
	switch {
	case !ours:
		s.meet(m)
	case m.MessageType() == dhcpv4.MessageTypeDecline:
		s.notice(Notice{Declined, r.Name, r.Address})
	case reply == nil || m.MessageType() != dhcpv4.MessageTypeRequest:
	case reply.MessageType() == dhcpv4.MessageTypeNak:
		s.notice(Notice{Refused, r.Name, r.Address})
	default:
		s.notice(Notice{Granted, r.Name, r.Address})
	}
}

// mostStrangers are told of: a MAC is easily made up.
const mostStrangers = 64

// meet tells of who asks for an address here and has no reservation, once.
func (s *Server) meet(m *dhcpv4.DHCPv4) {
	asks := m.MessageType() == dhcpv4.MessageTypeDiscover || m.MessageType() == dhcpv4.MessageTypeRequest // one with an address may inform itself
	if !asks || len(m.ClientHWAddr) != len(MAC{}) || m.ClassIdentifier() == probeClass {
		return
	}
	mac := MAC(m.ClientHWAddr)
	s.mu.Lock()
	known := s.strangers[mac] || len(s.strangers) == mostStrangers
	if !known {
		s.strangers[mac] = true
	}
	s.mu.Unlock()
	if !known {
		s.notice(Notice{Kind: Stranger, Name: mac.String()})
	}
}

// stayAlone falls silent while another server answers.
func (s *Server) stayAlone(ctx context.Context) {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		c := s.c
		s.mu.Unlock()
		if rival, err := Probe(ctx, c.Interface, c.Server.Addr()); err == nil {
			s.heed(rival)
		}
	}
}

func (s *Server) heed(rival netip.Addr) {
	s.mu.Lock()
	before := s.rival
	s.rival = rival
	s.mu.Unlock()
	switch {
	case rival == before:
	case rival.IsValid():
		s.notice(Notice{Kind: Rival, Address: rival})
	default:
		s.notice(Notice{Kind: Alone})
	}
}
