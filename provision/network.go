package provision

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/slipway-project/slipway/dhcpserver"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

// A Network is the private network of a cluster, as this host sees it.
type Network struct {
	Enter     []string             // the beginning of a command line that runs what follows inside
	Published []provider.Published // where things inside are reached from here
}

// Network returns the cluster's private network, which machines of some
// providers have: nil where they are on a network that this host is on. With
// ensure it is made, or brought to what the spec says; else one that is not
// there is nil.
func (p *Project) Network(ctx context.Context, ensure bool) (*Network, error) {
	netter, ok := p.provider.(provider.Netter)
	if !ok {
		return nil, nil
	}
	mark := provider.Mark{Cluster: p.cluster.FullName()}
	var n Network
	var err error
	if ensure {
		if n.Published, err = netter.EnsureNet(ctx, mark, p.wantNet()); err != nil {
			return nil, err
		}
	}
	if n.Enter, err = netter.Enter(ctx, mark); err != nil && ensure {
		return nil, fmt.Errorf("enter the network of %s: %w", p.cluster.FullName(), err)
	}
	if n.Enter == nil {
		return nil, nil
	}
	return &n, nil
}

// releaseNetwork removes the private network, after all that was in it.
func (p *Project) releaseNetwork(ctx context.Context) error {
	netter, ok := p.provider.(provider.Netter)
	if !ok {
		return nil
	}
	return netter.ReleaseNet(ctx, provider.Mark{Cluster: p.cluster.FullName()})
}

// wantNet is the private network that the spec's nodes stand in. This host is
// its router, and has the services' address there.
func (p *Project) wantNet() provider.Net {
	var want provider.Net
	for _, n := range p.cluster.Nodes {
		if !slices.ContainsFunc(want.Segments, func(s provider.Segment) bool { return same(s, n.Network) }) {
			want.Segments = append(want.Segments, p.wantSegment(n.Network))
		}
	}
	for _, a := range p.cluster.Services.Addresses() {
		for _, port := range []uint16{6443, 443, 80} {
			want.Publish = append(want.Publish, netip.AddrPortFrom(a, port))
		}
	}
	return want
}

func same(s provider.Segment, n spec.Network) bool { return s.Bridge == n.Bridge && s.VLAN == n.VLAN }

func (p *Project) wantSegment(n spec.Network) provider.Segment {
	s := provider.Segment{Bridge: n.Bridge, VLAN: n.VLAN, DNS: p.cluster.Services.Resolvers()}
	for _, a := range append([]netip.Addr{n.Gateway}, p.cluster.Services.Addresses()...) {
		if a.IsValid() && n.CIDR.Contains(a) {
			s.Addresses = append(s.Addresses, netip.PrefixFrom(a, n.CIDR.Bits()))
		}
	}
	taken := p.fixed()
	for _, node := range p.cluster.Nodes {
		if same(s, node.Network) {
			s.Reservations = append(s.Reservations, dhcpserver.Reservation{Name: node.Name, MAC: dhcpserver.MAC(node.MAC), Address: reserve(node, taken)})
		}
	}
	return s
}

// fixed are the addresses that nobody may be given.
func (p *Project) fixed() map[netip.Addr]bool {
	taken := map[netip.Addr]bool{}
	for _, n := range p.cluster.Nodes {
		taken[n.Address], taken[n.Network.Gateway] = true, true
	}
	for _, a := range p.cluster.Services.Addresses() {
		taken[a] = true
	}
	return taken
}

// reserve returns the node's address: the spec's, or the first that is free in
// its network. The order of the nodes is the spec's, so that each gets the same
// one again.
func reserve(n spec.Node, taken map[netip.Addr]bool) netip.Addr {
	if !n.DHCP() {
		return n.Address
	}
	a := n.Network.CIDR.Masked().Addr().Next()
	for taken[a] && n.Network.CIDR.Contains(a) {
		a = a.Next()
	}
	taken[a] = true
	return a
}
