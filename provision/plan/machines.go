package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

// machines adds a change for each node, then one for each machine that carries
// the cluster's mark without being in the spec, then one for each machine that
// only our state knows.
func (p *Plan) machines(c spec.Cluster, o Observed) {
	found, extra := byName(o.Machines)
	made := maps.Clone(o.Made)
	if s := c.Services.Machine; s != nil {
		p.add(o.serveFrom(*s, found))
		delete(found, s.Full)
		delete(made, s.Name)
	}
	for _, n := range c.Nodes {
		m, exists := found[n.Full]
		delete(found, n.Full)
		delete(made, n.Name)
		if exists {
			p.add(o.keep(n, m, o.drift(n, m), "it differs from the spec in what the provider can put right"))
		} else {
			p.add(o.create(n))
		}
	}
	for _, m := range sorted(append(extra, slices.Collect(maps.Values(found))...)) {
		delete(made, m.Node)
		p.add(stray(m))
	}
	for _, node := range slices.Sorted(maps.Keys(made)) {
		p.add(Change{Action: Gone, Kind: Machine, Name: node + "." + c.FullName(), Reason: "the state knows it, and neither provider nor spec have it"})
	}
}

// create plans for a node without a machine. A cluster that was Ready gets
// none: the machine would boot the image of an installation that has ended.
func (o Observed) create(n spec.Node) Change {
	c := Change{Action: Create, Kind: Machine, Name: n.Full, Node: o.planned(n)}
	switch made := o.Made[n.Name]; {
	case made && o.Ready:
		c.Action, c.Reason = Refuse, "the machine is gone from the provider although its node had joined"
	case made:
		c.Reason = "the state knows it, and it is gone from the provider"
	case o.Ready:
		c.Action, c.Reason = Refuse, "the node is new in the spec of a cluster that is installed"
	}
	if c.Action == Refuse {
		c.Next = "`up` gives an installed cluster no new machines: run `slipway down`, then `slipway up`"
	}
	return c
}

// keep plans for a machine that exists, in which the provider puts something
// right for a reason where drift says so.
func (o Observed) keep(n spec.Node, m provider.Machine, drift []Drift, reason string) Change {
	c := Change{Action: Keep, Kind: Machine, Name: n.Full, Node: o.planned(n), Drift: drift}
	c.Node.ID, c.Node.Place = m.ID, m.Place
	switch {
	case !o.Recorded[n.Name]:
		c.Action, c.Reason = Adopt, "it carries the cluster's mark, and no state here knows it"
	case repaired(c.Drift):
		c.Action, c.Reason = Update, reason
	}
	return c
}

// stray is a machine of the cluster's that no node of the spec has.
func stray(m provider.Machine) Change {
	return Change{Action: Extra, Kind: Machine, Name: m.Name, Node: nodeOf(m),
		Reason: "it carries the cluster's mark, and the spec has no such node",
		Next: fmt.Sprintf("`up` leaves it alone; `slipway down` removes it with the rest of the cluster, and alone it is removed in the provider: %s on %s",
			m.ID, m.Place)}
}

// planned is the node as the spec has it, with the address that DHCP gave it.
func (o Observed) planned(n spec.Node) *Node {
	node := &Node{Name: n.Name, Role: n.Role, CPUs: n.CPUs, Memory: n.Memory, Disk: n.Disk,
		DHCP: n.DHCP(), MAC: n.MAC.String(), UUID: n.UUID.String()}
	at := n.Address
	if n.DHCP() {
		at = o.Learned[n.Name]
	}
	if at.IsValid() {
		node.Address = at.String()
	}
	return node
}

// nodeOf is the node as far as its machine tells.
func nodeOf(m provider.Machine) *Node {
	return &Node{
		Name: m.Node, CPUs: m.CPUs, Memory: m.Memory, Disk: m.Disk,
		MAC: macOf(m), UUID: m.UUID.String(), ID: m.ID, Place: m.Place,
	}
}

// macOf is the MAC of m's first NIC, "" without one.
func macOf(m provider.Machine) string {
	if len(m.NICs) == 0 {
		return ""
	}
	return m.NICs[0].MAC.String()
}

// byName tells machines by their names. Of several with one name the first
// counts, by id.
func byName(machines []provider.Machine) (found map[string]provider.Machine, more []provider.Machine) {
	found = make(map[string]provider.Machine, len(machines))
	for _, m := range sorted(machines) {
		if _, twice := found[m.Name]; twice {
			more = append(more, m)
			continue
		}
		found[m.Name] = m
	}
	return found, more
}

func sorted(machines []provider.Machine) []provider.Machine {
	machines = slices.Clone(machines)
	slices.SortFunc(machines, func(a, b provider.Machine) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	return machines
}
