package rehearsal

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/slipway-project/slipway/internal/netlab"
)

// leaseTime is how long a lease is good for, as most home routers have it.
const leaseTime = 24 * time.Hour

// offerTime is how long an address is kept for a client that has not said yes.
const offerTime = time.Minute

// A dhcpServer hands out the addresses of a network's pool as home routers do:
// it announces the router as gateway and DNS server, and nobody else. Who had
// an address gets it again.
type dhcpServer struct {
	router  netip.Addr
	cidr    netip.Prefix
	pool    pool
	conn    net.PacketConn
	running sync.WaitGroup
	leases  map[string]lease // by MAC; of the serving goroutine alone
}

type lease struct {
	addr  netip.Addr
	until time.Time
}

// startDHCP serves the network n on its wire.
func startDHCP(lab *netlab.Lab, n network) (*dhcpServer, error) {
	conn, err := lab.ListenSegment(n.segment, dhcpv4.ServerPort)
	if err != nil {
		return nil, err
	}
	s := newDHCPServer(n)
	s.conn = conn
	s.running.Go(s.serve)
	return s, nil
}

func newDHCPServer(n network) *dhcpServer {
	return &dhcpServer{router: n.gateway, cidr: n.cidr, pool: n.pool, leases: map[string]lease{}}
}

// serve answers until the socket is closed.
func (s *dhcpServer) serve() {
	packet := make([]byte, 64<<10)
	for {
		n, from, err := s.conn.ReadFrom(packet)
		if err != nil {
			return
		}
		asked, err := dhcpv4.FromBytes(packet[:n])
		if err != nil {
			continue
		}
		if reply := s.answer(asked, time.Now()); reply != nil {
			s.conn.WriteTo(reply.ToBytes(), destination(asked, from)) // who is not reached asks again
		}
	}
}

// destination is where a reply goes: to a client that has an address there, to
// any other by broadcast (RFC 2131 section 4.1).
func destination(asked *dhcpv4.DHCPv4, from net.Addr) net.Addr {
	if ip := asked.ClientIPAddr; ip != nil && !ip.IsUnspecified() {
		return from
	}
	return &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ClientPort}
}

// answer is the reply to one message (RFC 2131 section 4.3), nil for none.
func (s *dhcpServer) answer(asked *dhcpv4.DHCPv4, now time.Time) *dhcpv4.DHCPv4 {
	if asked.OpCode != dhcpv4.OpcodeBootRequest || len(asked.ClientHWAddr) == 0 {
		return nil
	}
	switch asked.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		if addr, ok := s.choose(asked.ClientHWAddr, now); ok {
			return s.reply(asked, dhcpv4.MessageTypeOffer, addr)
		}
	case dhcpv4.MessageTypeRequest:
		return s.grant(asked, now)
	case dhcpv4.MessageTypeRelease:
		s.release(asked.ClientHWAddr, now)
	}
	return nil
}

// choose reserves the address for a client: that which it had, else a free one
// that follows from its MAC, as dnsmasq does it, else one whose lease is over.
func (s *dhcpServer) choose(mac net.HardwareAddr, now time.Time) (netip.Addr, bool) {
	if l, known := s.leases[mac.String()]; known {
		return l.addr, true
	}
	holders := map[netip.Addr]string{}
	for holder, l := range s.leases {
		holders[l.addr] = holder
	}
	free := func(a netip.Addr) bool { return holders[a] == "" }
	over := func(a netip.Addr) bool { return !s.leases[holders[a]].until.After(now) }
	for _, fit := range []func(netip.Addr) bool{free, over} {
		if addr, ok := s.pool.find(mac, fit); ok {
			delete(s.leases, holders[addr])
			s.leases[mac.String()] = lease{addr, now.Add(offerTime)}
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// grant confirms the address that the server has chosen for the client, and
// refuses any other.
func (s *dhcpServer) grant(asked *dhcpv4.DHCPv4, now time.Time) *dhcpv4.DHCPv4 {
	if chosen := asked.ServerIdentifier(); chosen != nil && !chosen.Equal(s.router.AsSlice()) {
		return nil // another server's offer was taken
	}
	wanted, _ := netip.AddrFromSlice(asked.RequestedIPAddress().To4())
	if !wanted.IsValid() {
		wanted, _ = netip.AddrFromSlice(asked.ClientIPAddr.To4())
	}
	addr, ok := s.choose(asked.ClientHWAddr, now)
	if !ok || wanted != addr {
		return s.reply(asked, dhcpv4.MessageTypeNak, netip.IPv4Unspecified())
	}
	s.leases[asked.ClientHWAddr.String()] = lease{addr, now.Add(leaseTime)}
	return s.reply(asked, dhcpv4.MessageTypeAck, addr)
}

// release ends a lease; the client's address stays its own while nobody else
// needs it.
func (s *dhcpServer) release(mac net.HardwareAddr, now time.Time) {
	if l, known := s.leases[mac.String()]; known {
		s.leases[mac.String()] = lease{l.addr, now}
	}
}

func (s *dhcpServer) reply(asked *dhcpv4.DHCPv4, kind dhcpv4.MessageType, addr netip.Addr) *dhcpv4.DHCPv4 {
	options := []dhcpv4.Modifier{
		dhcpv4.WithMessageType(kind), dhcpv4.WithServerIP(net.IPv4zero),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(s.router.AsSlice())),
	}
	if kind != dhcpv4.MessageTypeNak {
		options = append(options, dhcpv4.WithYourIP(addr.AsSlice()), dhcpv4.WithLeaseTime(uint32(leaseTime.Seconds())),
			dhcpv4.WithNetmask(net.CIDRMask(s.cidr.Bits(), 32)), dhcpv4.WithRouter(s.router.AsSlice()),
			dhcpv4.WithDNS(s.router.AsSlice()), dhcpv4.WithOption(dhcpv4.OptDomainName(homeDomain)))
	}
	reply, err := dhcpv4.NewReplyFromRequest(asked, options...)
	if err != nil {
		return nil // none of the options above fails
	}
	return reply
}

// homeDomain is the domain that home networks have (RFC 8375).
const homeDomain = "home.arpa"

// Close ends the server and waits for it.
func (s *dhcpServer) Close() error {
	err := s.conn.Close()
	s.running.Wait()
	if err != nil {
		return fmt.Errorf("DHCP server of %s: %w", s.cidr, err)
	}
	return nil
}
