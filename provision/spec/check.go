package spec

import (
	"net/netip"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// check looks at what single blocks cannot know.
func (l *loader) check(clusters []*cluster) {
	unique := &uniqueness{l, map[netip.Addr]use{}, map[string]use{}}
	for _, c := range clusters {
		l.checkServices(c)
		l.checkGateway(c)
		l.checkBlocks(c)
		l.checkTopology(c)
		unique.cluster(c)
	}
}

func (l *loader) checkServices(c *cluster) {
	addr := c.Services.Address
	if !addr.IsValid() || !c.Network.CIDR.IsValid() {
		return
	}
	why := c.Network.unfit(addr)
	switch {
	case why == "":
	case !c.Network.CIDR.Contains(addr):
		l.errorf(c.Services.Range, "Services outside of the network", "%s %s. Nodes reach DNS and load balancer through their gateway; see that it routes there, or write an address in %s.", addr, why, c.Network.CIDR)
		l.diags[len(l.diags)-1].Severity = hcl.DiagWarning
	default:
		l.errorf(c.Services.Range, "Invalid services address", "%s %s. Write a free address in %s.", addr, why, c.Network.CIDR)
	}
}

// checkGateway wants a gateway where nodes have static addresses, once for
// each network.
func (l *loader) checkGateway(c *cluster) {
	n := c.network
	if n == nil || n.raw.Gateway != nil || !n.CIDR.IsValid() || n.asked {
		return
	}
	n.asked = true
	l.errorf(n.Range, "Missing gateway", "Nodes with static addresses need a way out. Write gateway = \"%s\" (your router's address) in this block.", n.CIDR.Addr().Next())
}

func (l *loader) checkBlocks(c *cluster) {
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
		switch {
		case m.role != ControlPlane:
		case m.raw.Count != nil:
			return m.raw.Count.Expr.Range()
		case m.raw.Addresses != nil:
			return m.raw.Addresses.Expr.Range()
		}
	}
	return c.Range
}
