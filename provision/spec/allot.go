package spec

import "net/netip"

// allot gives an address to each node of the machines blocks that name none:
// the first free ones after the services address (from the first of the
// network when that lies elsewhere), control plane first, then in the order
// of the blocks. Free is what is in the network and neither its gateway nor
// written anywhere in the spec. The result depends on nothing but the spec.
func (l *loader) allot(clusters []*cluster) {
	taken := map[netip.Addr]bool{}
	for _, c := range clusters {
		taken[c.Services.Address] = true
		for n := range c.each {
			taken[n.Address] = true
		}
	}
	for _, c := range clusters {
		if c.Network.CIDR.IsValid() && c.Services.Address.IsValid() {
			l.allotCluster(c, taken)
		}
	}
}

func (l *loader) allotCluster(c *cluster, taken map[netip.Addr]bool) {
	next := c.Services.Address
	if !c.Network.CIDR.Contains(next) {
		next = c.Network.CIDR.Addr()
	}
	for _, role := range []Role{ControlPlane, Worker} {
		for _, m := range c.machines {
			if m.role == role && m.raw.Addresses == nil {
				next = l.allotBlock(c, m, next, taken)
			}
		}
	}
}

// allotBlock returns the last address it gave.
func (l *loader) allotBlock(c *cluster, m *machines, last netip.Addr, taken map[netip.Addr]bool) netip.Addr {
	for i, n := range m.nodes {
		next := last.Next()
		for taken[next] || next == c.Network.Gateway {
			next = next.Next()
		}
		if c.Network.unfit(next) != "" {
			l.errorf(m.raw.Range, "Not enough addresses", "%s needs %d addresses, and %s has %d free after %s. Write addresses = %s in this block.",
				m, len(m.nodes), c.Network.CIDR, i, c.Services.Address, addressesExample)
			return last
		}
		n.Address, taken[next], last = next, true, next
	}
	return last
}

// each visits the nodes in the order they are written.
func (c *cluster) each(yield func(*node) bool) {
	for _, m := range c.machines {
		for _, n := range m.nodes {
			if !yield(n) {
				return
			}
		}
	}
}
