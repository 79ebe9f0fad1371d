package spec

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// check looks at what single blocks cannot know.
func (l *loader) check(clusters []*cluster) {
	unique := &uniqueness{l: l, addresses: map[netip.Addr]use{}, macs: map[string]use{}}
	for _, c := range clusters {
		l.checkServices(c)
		l.checkServicesMachine(c)
		l.checkGateways(c)
		l.checkUpstream(c)
		l.checkLabels(c)
		l.checkRelease(c)
		l.checkTopology(c)
		unique.cluster(c)
	}
	l.checkZones(clusters)
}

func (l *loader) checkServices(c *cluster) {
	for _, addr := range c.Services.Addresses() {
		l.checkServicesAddress(c, addr)
	}
}

func (l *loader) checkServicesAddress(c *cluster, addr netip.Addr) {
	if !addr.IsValid() || !c.Network.CIDR.IsValid() {
		return
	}
	why := c.Network.unfit(addr)
	switch {
	case why == "" || c.Services.Machine != nil && !c.Network.CIDR.Contains(addr): // see checkServicesMachine
	case !c.Network.CIDR.Contains(addr):
		l.warnf(c.Services.Range, "Services outside of the network", "%s %s. Nodes reach DNS and load balancer through their gateway; see that it routes there, or write an address in %s.", addr, why, c.Network.CIDR)
	default:
		l.errorf(c.Services.Range, "Invalid services address", "%s %s. Write a free address in %s.", addr, why, c.Network.CIDR)
	}
}

// checkGateways wants a gateway wherever nodes have static addresses, once
// for each network.
func (l *loader) checkGateways(c *cluster) {
	for n := range c.each {
		if n.net != nil && (n.free || n.Address.IsValid()) {
			l.wantGateway(n.net)
		}
	}
}

func (l *loader) wantGateway(n *network) {
	if !n.asked && n.raw.Gateway == nil && n.CIDR.IsValid() {
		n.asked = true
		l.absentf(n.Range, "gateway", "Missing gateway", "Nodes with static addresses need a way out. Write gateway = \"%s\" (your router's address) in this block.", n.CIDR.Addr().Next())
	}
}

// checkUpstream warns of a cluster whose nodes find no name but its own.
func (l *loader) checkUpstream(c *cluster) {
	n := c.network
	if n == nil || n.warned || n.raw.Gateway != nil || n.raw.Upstream != nil || n.asked || c.Services.DNS.Mode != DNSEmbedded {
		return
	}
	n.warned = true
	l.warnf(n.Range, "Missing upstream", "Nodes ask the services address for names, also for those of registries, and nobody is named whom it could ask in turn. Write upstream = [\"%s\"] or gateway in this block.", firstOf(n.Network))
}

func firstOf(n Network) netip.Addr {
	if !n.CIDR.IsValid() {
		return netip.AddrFrom4([4]byte{192, 0, 2, 1})
	}
	return n.CIDR.Addr().Next()
}

// checkLabels finds machines blocks with the same label.
func (l *loader) checkLabels(c *cluster) {
	first := map[string]*machines{}
	for _, m := range c.machines {
		if before := first[m.raw.Label]; before != nil {
			l.errorf(m.raw.Range, "Duplicate block", "There is a %s already, at %s, whose nodes have the same names. Give this one another label.", m, before.raw.Range)
			m.nodes = nil
			continue
		}
		first[m.raw.Label] = m
	}
}

// controlPlanes are the sizes of control plane an installer can do.
var controlPlanes = []int{1, 3, 4, 5}

func (l *loader) checkTopology(c *cluster) {
	counts := map[Role]int{}
	for n := range c.each {
		counts[n.Role]++
	}
	control, workers := counts[ControlPlane], counts[Worker]
	switch {
	case c.uncounted():
		return
	case !slices.Contains(controlPlanes, control):
		l.errorf(c.controlAt(), "Invalid control plane", "A control plane has 1, 3, 4 or 5 nodes, for etcd to keep a majority, and this has %d. Write machines \"control\" { count = 3 }.", control)
	case control == 1 && workers > 0:
		l.errorf(c.controlAt(), "Invalid control plane", "One control plane node makes a single-node cluster, which has no workers; this has %d. Write count = 3, or remove the workers.", workers)
	}
	l.checkLargeControlPlane(c, control, c.controlAt())
	l.checkHardware(c, control == 1)
}

// uncounted reports whether some number of nodes is not known, for reasons
// already given.
func (c *cluster) uncounted() bool {
	return slices.ContainsFunc(c.machines, func(m *machines) bool { return m.unclear })
}

// controlAt is where the size of the control plane is written.
func (c *cluster) controlAt() hcl.Range {
	for _, m := range c.machines {
		if source := m.raw.source(); m.controls() && source != nil {
			return source.Expr.Range()
		}
	}
	return c.Range
}

// controls reports whether m has nodes of the control plane, or would have.
func (m *machines) controls() bool {
	if len(m.nodes) == 0 {
		return m.role == ControlPlane
	}
	return slices.ContainsFunc(m.nodes, func(n *node) bool { return n.Role == ControlPlane })
}

// checkZones refuses a cluster whose names lie below the wildcard record of
// another one, which would answer for them.
func (l *loader) checkZones(clusters []*cluster) {
	for _, c := range clusters {
		for _, other := range clusters {
			apps := "apps." + other.FullName()
			if c.Domain != "" && other.Domain != "" && (c.FullName() == apps || strings.HasSuffix(c.FullName(), "."+apps)) {
				l.errorf(c.raw.Domain.Expr.Range(), "Invalid domain", "*.%s is a record of cluster %s and answers for all names of %s. Write another domain.", apps, other.Name, c.FullName())
			}
		}
	}
}
