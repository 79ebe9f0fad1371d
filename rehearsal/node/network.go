package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
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

// joinNetwork configures the host's interfaces as the static network says that
// has one of its MACs; without one by DHCP, which is NetworkManager's default.
func (s *system) joinNetwork(static []StaticNetwork) (StaticNetwork, error) {
	own, found := s.host.ownNetwork(static)
	n := s.newNetwork()
	var err error
	if found {
		err = n.describe(s.host.hw.NICs, own)
	} else {
		n.byDefault(s.host.hw.NICs)
	}
	if err == nil {
		err = s.address(n)
	}
	if err != nil {
		return own, fmt.Errorf("network: %w", err)
	}
	s.net = n
	s.host.update(func(h *HostState) { h.Addresses = n.addrs() })
	return own, nil
}

func (s *system) newNetwork() *network {
	n := &network{resolver: resolver{timeout: s.host.patience(dnsTimeout)}}
	n.resolver.dial = n.dial
	return n
}

// describe gives n the interfaces that own has for nics.
func (n *network) describe(nics []NIC, own StaticNetwork) error {
	config, err := parseNMState(own.NMState)
	if err != nil {
		return err
	}
	n.resolver.servers, n.resolver.search = config.servers, config.search
	for _, nic := range nics {
		if i, ok := config.interfaces[own.MACs[nic.MAC.String()]]; ok {
			n.ports = append(n.ports, port{nic, i})
		}
	}
	return nil
}

func (n *network) byDefault(nics []NIC) {
	for _, nic := range nics {
		n.ports = append(n.ports, port{nic, netInterface{dhcp: &dhcpConfig{dns: true, gateway: true}}})
	}
}

func (p *port) configure() error {
	gateway := p.gateway
	if len(p.addrs) == 0 { // no lease yet, and so no way there
		gateway = netip.Addr{}
	}
	if err := p.nic.Link.Configure(p.addrs, gateway, p.mtu); err != nil {
		return fmt.Errorf("%s: %w", p.nic.Name, err)
	}
	return nil
}

// address brings the interfaces up, and returns once one of them has an
// address.
func (s *system) address(n *network) error {
	dynamic := false
	for i := range n.ports {
		if err := n.ports[i].configure(); err != nil {
			return err
		}
		dynamic = dynamic || n.ports[i].dhcp != nil
	}
	if dynamic {
		return s.retry(s.ctx, dhcpRetry, func() error { return s.leaseAll(n) })
	}
	if len(n.addrs()) == 0 {
		return errors.New("the configuration gives no interface of this host an address")
	}
	return nil
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
	addrs, port, err := n.targets(ctx, address)
	if err != nil {
		return nil, err
	}
	return n.dialAny(ctx, network, addrs, port)
}

// dialWithin is dial with a time-out, which begins once the name is known: the
// resolver has its own.
func (n *network) dialWithin(ctx context.Context, d time.Duration, network, address string) (net.Conn, error) {
	addrs, port, err := n.targets(ctx, address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return n.dialAny(ctx, network, addrs, port)
}

func (n *network) targets(ctx context.Context, address string) (addrs []netip.Addr, port string, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, "", err
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, port, nil
	}
	addrs, err = n.resolver.lookup(ctx, host)
	return addrs, port, err
}

// dialAny connects to the first of the addresses that lets it.
func (n *network) dialAny(ctx context.Context, network string, addrs []netip.Addr, port string) (net.Conn, error) {
	var errs []error
	for i, addr := range addrs {
		ctx, cancel := share(ctx, len(addrs)-i)
		conn, err := n.dialAddr(ctx, network, addr, port)
		cancel()
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// share ends after the first of n equal parts of the time that ctx has left, as
// Go's net.Dialer, which Ignition, the agent and kubelet use, divides it over
// the addresses of a name.
func share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
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
