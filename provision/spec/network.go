package spec

import (
	"net/netip"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
)

type rawNetwork struct {
	Bridge   *hcl.Attribute `hcl:"bridge,optional"`
	VLAN     *hcl.Attribute `hcl:"vlan,optional"`
	CIDR     *hcl.Attribute `hcl:"cidr,optional"`
	Gateway  *hcl.Attribute `hcl:"gateway,optional"`
	Upstream *hcl.Attribute `hcl:"upstream,optional"`
	MTU      *hcl.Attribute `hcl:"mtu,optional"`
}

// A network is a Network, and what was written to say so.
type network struct {
	Network
	raw    rawNetwork
	asked  bool // for its gateway
	warned bool // of its upstream
}

func (l *loader) networks(blocks hcl.Blocks) {
	for _, b := range blocks {
		n := &network{Network: Network{Label: b.Labels[0], Range: b.DefRange}}
		l.diags = append(l.diags, gohcl.DecodeBody(b.Body, nil, &n.raw)...)
		l.leaveOut(&n.raw)
		l.network(n)
		l.nets = append(l.nets, n)
	}
}

func (l *loader) network(n *network) {
	n.Bridge = "vmbr0"
	if bridge, ok := l.text(n.raw.Bridge, `"vmbr0"`); ok {
		n.Bridge = bridge
	}
	n.VLAN, _ = l.integer(n.raw.VLAN, 1, 4094, "20")
	n.MTU, _ = l.integer(n.raw.MTU, 1280, 65520, "1500")
	if !l.missing(n.raw.CIDR, n.Range, "cidr", `"192.0.2.0/24"`) {
		n.CIDR, _ = l.cidr(n.raw.CIDR)
	}
	l.checkOverlap(n)
	n.Gateway = l.gateway(n)
	if n.raw.Upstream == nil && n.Gateway.IsValid() {
		n.Upstream = []netip.Addr{n.Gateway} // most routers answer DNS; nodes must reach registries by name
	}
	upstream, _ := l.items(n.raw.Upstream, `["192.0.2.1"]`)
	for _, i := range upstream {
		if addr, ok := l.parseAddress(i, `"192.0.2.1"`); ok {
			n.Upstream = append(n.Upstream, addr)
		}
	}
}

// cidr reads an IPv4 network that has room for a gateway, services and a node.
func (l *loader) cidr(a *hcl.Attribute) (netip.Prefix, bool) {
	text, ok := l.text(a, `"192.0.2.0/24"`)
	if !ok {
		return netip.Prefix{}, false
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil || !prefix.Addr().Is4() || prefix.Bits() < 8 || prefix.Bits() > 29:
		l.errorf(a.Expr.Range(), "Invalid network", "%q is not an IPv4 network of /8 to /29. Write one such as cidr = \"192.0.2.0/24\".", text)
	case prefix != prefix.Masked():
		l.errorf(a.Expr.Range(), "Invalid network", "%q is an address inside of a network. Write cidr = %q.", text, prefix.Masked())
	default:
		return prefix, true
	}
	return netip.Prefix{}, false
}

// The networks that a cluster has inside, by default; a node whose address
// lies in one is not reached from within. (openshift-install: clusterNetwork,
// serviceNetwork; OVN-Kubernetes: internalJoinSubnet, internalTransitSwitchSubnet.)
var inside = []struct {
	prefix netip.Prefix
	what   string
	soft   bool // may be moved later, without a new installation
}{
	{netip.MustParsePrefix("10.128.0.0/14"), "the network of pods", false},
	{netip.MustParsePrefix("172.30.0.0/16"), "the network of Kubernetes services", false},
	{netip.MustParsePrefix("100.64.0.0/16"), "the join network of OVN-Kubernetes", true},
	{netip.MustParsePrefix("100.88.0.0/16"), "the transit network of OVN-Kubernetes", true},
}

func (l *loader) checkOverlap(n *network) {
	for _, in := range inside {
		switch {
		case !n.CIDR.IsValid() || !n.CIDR.Overlaps(in.prefix):
		case in.soft:
			l.warnf(n.raw.CIDR.Expr.Range(), "Overlapping network", "%s overlaps %s, which is %s: what lies in both is not reached from pods. Write another network if you can.", n.CIDR, in.prefix, in.what)
		default:
			l.errorf(n.raw.CIDR.Expr.Range(), "Overlapping network", "%s overlaps %s, which is %s inside of each cluster. Write another network.", n.CIDR, in.prefix, in.what)
		}
	}
}

func (l *loader) gateway(n *network) netip.Addr {
	addr, ok := l.address(n.raw.Gateway, `"192.0.2.1"`)
	if !ok || !n.CIDR.IsValid() {
		return netip.Addr{}
	}
	if why := n.unfit(addr); why != "" {
		l.errorf(n.raw.Gateway.Expr.Range(), "Invalid gateway", "%s %s. Write the router's address in %s, such as gateway = %q.", addr, why, n.CIDR, n.CIDR.Addr().Next())
		return netip.Addr{}
	}
	return addr
}

// unfit says why no machine in the network can have addr, or "".
func (n Network) unfit(addr netip.Addr) string {
	switch {
	case !n.CIDR.Contains(addr):
		return "is not in network " + n.CIDR.String()
	case addr == n.CIDR.Addr():
		return "is the address of the network itself"
	case addr == n.broadcast():
		return "is the broadcast address of the network"
	case addr == n.Gateway:
		return "is the gateway"
	}
	return ""
}

func (n Network) broadcast() netip.Addr {
	last := n.CIDR.Addr().As4()
	for i := range last {
		host := max(0, min(8, (i+1)*8-n.CIDR.Bits())) // host bits in this byte
		last[i] |= byte(1<<host - 1)
	}
	return netip.AddrFrom4(last)
}
