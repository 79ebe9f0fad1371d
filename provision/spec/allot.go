package spec

import "net/netip"

// allot gives an address to each node of the machines blocks that name none:
// the first free ones of its network, after the services address when that
// lies in it, control plane first, then in the order of the blocks. Free is
// what is in the network and neither its gateway nor written anywhere in the
// spec. The result depends on nothing but the spec.
func (l *loader) allot(clusters []*cluster) {
	taken := map[netip.Addr]bool{}
	for _, c := range clusters {
		for _, a := range servicesAddresses(c.Services) {
			taken[a] = true
		}
		for n := range c.each {
			taken[n.Address] = true
		}
	}
	for _, c := range clusters {
		if c.Services.Address.IsValid() {
			a := &allotment{l, c, taken, map[*network]netip.Addr{}, map[*machines]bool{}}
			a.cluster()
		}
	}
}

// An allotment gives addresses to the nodes of one cluster.
type allotment struct {
	l     *loader
	c     *cluster
	taken map[netip.Addr]bool
	last  map[*network]netip.Addr // given in that network
	full  map[*machines]bool      // told already
}

func (a *allotment) cluster() {
	for _, role := range []Role{ControlPlane, Worker} {
		for _, m := range a.c.machines {
			for i, n := range m.nodes {
				if n.Role == role && n.free && n.net != nil && n.net.CIDR.IsValid() && !a.full[m] {
					a.node(m, i, n)
				}
			}
		}
	}
}

// start is the address that free ones are looked for behind.
func (a *allotment) start(n *network) netip.Addr {
	if last, ok := a.last[n]; ok {
		return last
	}
	if n.CIDR.Contains(a.c.Services.Address) {
		return a.c.Services.Address
	}
	return n.CIDR.Addr()
}

func (a *allotment) node(m *machines, i int, n *node) {
	begin := a.start(n.net)
	next := begin.Next()
	for a.taken[next] || next == n.net.Gateway {
		next = next.Next()
	}
	if n.net.unfit(next) != "" {
		a.full[m] = true
		delete(a.last, n.net)
		a.l.errorf(m.raw.Range, "Not enough addresses", "%s needs %d addresses, and %s has %d free after %s. Write addresses = %s in this block.",
			m, len(m.nodes), n.net.CIDR, i, a.start(n.net), addressesExample)
		return
	}
	n.Address, a.taken[next], a.last[n.net] = next, true, next
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
