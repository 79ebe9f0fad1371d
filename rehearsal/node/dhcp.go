package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// A dhcpConfig says what to take from a DHCP lease besides the address.
type dhcpConfig struct{ dns, gateway bool }

// dhcpTries is how often a DHCP client asks before it gives up for a while; it
// doubles its patience each time.
const dhcpTries = 3

// minDHCP is its first patience at the least, in wall time.
const minDHCP = 250 * time.Millisecond

// maxDHCP is the size of a DHCP message at the most.
const maxDHCP = 1500

// leaseAll asks for an address for each interface that is to have one by DHCP.
// It is an error if none of the host's interfaces has an address then.
func (s *system) leaseAll(n *network) error {
	var errs []error
	for i := range n.ports {
		if p := &n.ports[i]; p.dhcp != nil && len(p.addrs) == 0 {
			errs = append(errs, s.lease(n, p))
		}
	}
	if len(n.addrs()) > 0 {
		return nil
	}
	return fmt.Errorf("network: %w", errors.Join(errs...))
}

// lease gets an address for p, and configures p and the resolver by the lease.
func (s *system) lease(n *network, p *port) error {
	ack, err := s.askDHCP(p.nic)
	if err != nil {
		return fmt.Errorf("%s: %w", p.nic.Name, err)
	}
	if err := p.take(ack); err != nil {
		return fmt.Errorf("%s: DHCP: %w", p.nic.Name, err)
	}
	if p.dhcp.dns {
		n.resolver.learn(ack)
	}
	return p.configure()
}

// askDHCP is DISCOVER, OFFER, REQUEST, ACK (RFC 2131 section 3.1).
func (s *system) askDHCP(nic NIC) (*dhcpv4.DHCPv4, error) {
	conn, err := nic.Link.Broadcast(dhcpv4.ClientPort)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(s.ctx, func() { conn.Close() })
	defer stop()
	c := dhcpClient{conn, max(minDHCP, s.host.hw.Speed.Scale(dhcpTimeout))}
	discover, err := dhcpv4.NewDiscovery(nic.MAC)
	if err != nil {
		return nil, err
	}
	offer, err := c.exchange(discover, dhcpv4.MessageTypeOffer)
	if err != nil {
		return nil, err
	}
	request, err := dhcpv4.NewRequestFromOffer(offer)
	if err != nil {
		return nil, err
	}
	return c.exchange(request, dhcpv4.MessageTypeAck)
}

// A dhcpClient asks on one wire.
type dhcpClient struct {
	conn     net.PacketConn
	patience time.Duration // for the first answer
}

// exchange sends a message until the wanted answer, or a refusal, comes.
func (c dhcpClient) exchange(m *dhcpv4.DHCPv4, want dhcpv4.MessageType) (*dhcpv4.DHCPv4, error) {
	for try := range dhcpTries {
		if _, err := c.conn.WriteTo(m.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ServerPort}); err != nil {
			return nil, err
		}
		if err := c.conn.SetReadDeadline(time.Now().Add(c.patience << try)); err != nil {
			return nil, err
		}
		reply, err := c.receive(m, want)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return reply, err
		}
	}
	return nil, errors.New("no DHCP server answers")
}

// receive reads until the answer to m is there.
func (c dhcpClient) receive(m *dhcpv4.DHCPv4, want dhcpv4.MessageType) (*dhcpv4.DHCPv4, error) {
	packet := make([]byte, maxDHCP)
	for {
		n, _, err := c.conn.ReadFrom(packet)
		if err != nil {
			return nil, err
		}
		reply, err := dhcpv4.FromBytes(packet[:n])
		switch {
		case err != nil || reply.OpCode != dhcpv4.OpcodeBootReply || reply.TransactionID != m.TransactionID:
		case reply.MessageType() == dhcpv4.MessageTypeNak:
			return nil, fmt.Errorf("DHCP server %s refuses %s", reply.ServerIdentifier(), m.RequestedIPAddress())
		case reply.MessageType() == want:
			return reply, nil
		}
	}
}

// take makes a lease the interface's configuration. A gateway of the static
// configuration comes before the lease's.
func (p *port) take(ack *dhcpv4.DHCPv4) error {
	addr, ok := netip.AddrFromSlice(ack.YourIPAddr.To4())
	bits, _ := ack.SubnetMask().Size()
	if !ok || bits == 0 {
		return fmt.Errorf("lease of %s with netmask %s: not an address of a network", ack.YourIPAddr, ack.SubnetMask())
	}
	p.addrs = []netip.Prefix{netip.PrefixFrom(addr, bits)}
	if routers := ack.Router(); p.dhcp.gateway && !p.gateway.IsValid() && len(routers) > 0 {
		p.gateway, _ = netip.AddrFromSlice(routers[0].To4())
	}
	return nil
}

// learn adds the servers and the domain of a lease, after those that are
// configured.
func (r *resolver) learn(ack *dhcpv4.DHCPv4) {
	for _, ip := range ack.DNS() {
		if addr, ok := netip.AddrFromSlice(ip.To4()); ok {
			r.servers = append(r.servers, addr)
		}
	}
	if domain := ack.DomainName(); domain != "" {
		r.search = append(r.search, domain)
	}
}
