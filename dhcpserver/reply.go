package dhcpserver

import (
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Reply is what the server of c says to a message, or nil: it does not answer
// strangers, relayed messages, choices of another server, nor what is no
// question. A machine that asks for another address than its own is refused
// (RFC 2131, 4.3.2), so that it asks anew.
func Reply(c Config, m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	r, ours := c.reservation(m)
	if !ours || m.OpCode != dhcpv4.OpcodeBootRequest || !unset(m.GatewayIPAddr) {
		return nil
	}
	switch m.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return c.grant(m, r, dhcpv4.MessageTypeOffer)
	case dhcpv4.MessageTypeRequest:
		return c.decide(m, r)
	case dhcpv4.MessageTypeInform:
		return c.answer(m, r, dhcpv4.MessageTypeAck)
	}
	return nil // decline and release are heard, not answered
}

func (c Config) reservation(m *dhcpv4.DHCPv4) (Reservation, bool) {
	for _, r := range c.Reservations {
		if string(m.ClientHWAddr) == string(r.MAC[:]) {
			return r, true
		}
	}
	return Reservation{}, false
}

// decide answers a request, in whichever of its three states the client is
// (RFC 2131, 4.3.2).
func (c Config) decide(m *dhcpv4.DHCPv4, r Reservation) *dhcpv4.DHCPv4 {
	if chosen := m.ServerIdentifier(); chosen != nil && !equal(chosen, c.Server.Addr()) {
		return nil // the client took another server's offer
	}
	wanted := m.RequestedIPAddress()
	if unset(wanted) {
		wanted = m.ClientIPAddr // renewing or rebinding
	}
	if !equal(wanted, r.Address) {
		return c.refuse(m)
	}
	return c.grant(m, r, dhcpv4.MessageTypeAck)
}

func (c Config) refuse(m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	reply, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(dhcpv4.MessageTypeNak),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(c.Server.Addr().AsSlice())))
	if err != nil {
		return nil
	}
	reply.SetBroadcast()
	return reply
}

// grant gives r's address for the time of a lease.
func (c Config) grant(m *dhcpv4.DHCPv4, r Reservation, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	reply := c.answer(m, r, kind)
	if reply == nil {
		return nil
	}
	lease := c.lease()
	reply.YourIPAddr = r.Address.AsSlice()
	reply.UpdateOption(dhcpv4.OptIPAddressLeaseTime(lease))
	reply.UpdateOption(dhcpv4.OptRenewTimeValue(lease / 2))
	reply.UpdateOption(dhcpv4.OptRebindingTimeValue(lease * 7 / 8))
	return reply
}

// answer says all there is to know of the network.
func (c Config) answer(m *dhcpv4.DHCPv4, r Reservation, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	mask := net.CIDRMask(c.Server.Bits(), 32)
	options := []dhcpv4.Option{
		dhcpv4.OptMessageType(kind), dhcpv4.OptServerIdentifier(c.Server.Addr().AsSlice()), dhcpv4.OptSubnetMask(mask),
	}
	if r.Name != "" {
		options = append(options, dhcpv4.OptHostName(r.Name))
	}
	reply, err := dhcpv4.NewReplyFromRequest(m)
	if err != nil {
		return nil
	}
	for _, o := range append(options, c.network()...) {
		reply.UpdateOption(o)
	}
	if kind == dhcpv4.MessageTypeAck {
		reply.ClientIPAddr = m.ClientIPAddr // RFC 2131, table 3
	}
	return reply
}

func (c Config) network() (options []dhcpv4.Option) {
	if c.Router.IsValid() {
		options = append(options, dhcpv4.OptRouter(c.Router.AsSlice()))
	}
	if len(c.DNS) > 0 {
		options = append(options, dhcpv4.OptDNS(addresses(c.DNS)...))
	}
	if len(c.NTP) > 0 {
		options = append(options, dhcpv4.OptNTPServers(addresses(c.NTP)...))
	}
	if c.Domain != "" {
		options = append(options, dhcpv4.OptDomainName(c.Domain))
	}
	if c.MTU > 0 {
		options = append(options, dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{byte(c.MTU >> 8), byte(c.MTU)}))
	}
	return options
}

func addresses(list []netip.Addr) (ips []net.IP) {
	for _, a := range list {
		ips = append(ips, a.AsSlice())
	}
	return ips
}

func unset(ip net.IP) bool { return len(ip) == 0 || ip.IsUnspecified() }

func equal(ip net.IP, a netip.Addr) bool {
	b, ok := netip.AddrFromSlice(ip)
	return ok && b.Unmap() == a
}

// destination is where a reply goes (RFC 2131, 4.1): to the address of a client
// that has one, else to everybody on the link.
func destination(reply *dhcpv4.DHCPv4) *net.UDPAddr {
	to := net.IPv4bcast
	if !unset(reply.ClientIPAddr) && reply.MessageType() != dhcpv4.MessageTypeNak {
		to = reply.ClientIPAddr
	}
	return &net.UDPAddr{IP: to, Port: dhcpv4.ClientPort}
}
