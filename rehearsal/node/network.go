package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// A network is the configured network of a running system.
type network struct {
	ports    []port
	resolver resolver
}

// A port is a NIC with its configuration.
type port struct {
	nic NIC
	netInterface
}

// joinNetwork finds the static network that has a MAC of this host and
// configures the links by it.
func (h *Host) joinNetwork(static []StaticNetwork) (*network, StaticNetwork, error) {
	own, found := h.ownNetwork(static)
	if !found {
		return nil, own, fmt.Errorf("network: no static configuration has the MAC %s, and no DHCP server answers", h.macs())
	}
	config, err := parseNMState(own.NMState)
	if err != nil {
		return nil, own, fmt.Errorf("network: %w", err)
	}
	n := &network{}
	for _, nic := range h.hw.NICs {
		i, ok := config.interfaces[own.MACs[nic.MAC.String()]]
		if !ok {
			continue
		}
		if err := nic.Link.Configure(i.addrs, i.gateway, i.mtu); err != nil {
			return nil, own, fmt.Errorf("network: %s: %w", nic.Name, err)
		}
		n.ports = append(n.ports, port{nic, i})
	}
	if len(n.addrs()) == 0 {
		return nil, own, n.why(config)
	}
	n.resolver = resolver{servers: config.servers, search: config.search, dial: n.dial, timeout: h.patience(dnsTimeout)}
	h.update(func(s *HostState) { s.Addresses = n.addrs() })
	return n, own, nil
}

func (n *network) why(config netConfig) error {
	for _, p := range n.ports {
		if p.dhcp {
			return fmt.Errorf("network: %s: no DHCP server answers", p.nic.Name)
		}
	}
	return errors.New("network: the configuration gives no interface of this host an address")
}

func (h *Host) ownNetwork(static []StaticNetwork) (StaticNetwork, bool) {
	for _, s := range static {
		for _, nic := range h.hw.NICs {
			if _, ok := s.MACs[nic.MAC.String()]; ok {
				return s, true
			}
		}
	}
	return StaticNetwork{}, false
}

func (h *Host) macs() string {
	var list []string
	for _, nic := range h.hw.NICs {
		list = append(list, nic.MAC.String())
	}
	return strings.Join(list, ", ")
}

// addrs are the addresses of all interfaces.
func (n *network) addrs() []netip.Addr {
	var list []netip.Addr
	for _, p := range n.ports {
		for _, a := range p.addrs {
			list = append(list, a.Addr())
		}
	}
	return list
}

// listen opens a TCP port on every interface that has an address.
func (n *network) listen(tcpPort int) ([]net.Listener, error) {
	var list []net.Listener
	for _, p := range n.ports {
		if len(p.addrs) == 0 {
			continue
		}
		l, err := p.nic.Link.Listen("tcp", fmt.Sprintf(":%d", tcpPort))
		if err != nil {
			for _, open := range list {
				open.Close()
			}
			return nil, fmt.Errorf("listen on port %d: %w", tcpPort, err)
		}
		list = append(list, l)
	}
	return list, nil
}

// dial connects to host:port; a name is asked of the host's own resolver.
func (n *network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, tcpPort, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return n.dialAddr(ctx, network, addr, tcpPort)
	}
	addrs, err := n.resolver.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, addr := range addrs {
		conn, err := n.dialAddr(ctx, network, addr, tcpPort)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (n *network) dialAddr(ctx context.Context, network string, addr netip.Addr, port string) (net.Conn, error) {
	link := n.linkTo(addr)
	if link == nil {
		return nil, fmt.Errorf("dial %s: %w", addr, syscall.ENETUNREACH)
	}
	return link.Dial(ctx, network, net.JoinHostPort(addr.String(), port))
}

// linkTo is the interface in whose network addr is, else the one that has a
// gateway.
func (n *network) linkTo(addr netip.Addr) Link {
	for _, p := range n.ports {
		for _, a := range p.addrs {
			if a.Contains(addr) {
				return p.nic.Link
			}
		}
	}
	for _, p := range n.ports {
		if p.gateway.IsValid() && p.gateway.Is4() == addr.Is4() {
			return p.nic.Link
		}
	}
	return nil
}
