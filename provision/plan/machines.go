package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

// machines adds a change for each node, and one for each machine that carries
// the cluster's mark without being in the spec.
func (p *Plan) machines(c spec.Cluster, o Observed) {
	strays := map[string]provider.Machine{}
	for _, m := range o.Machines {
		strays[m.Name] = m
	}
	for _, n := range c.Nodes {
		m, exists := strays[n.Full]
		delete(strays, n.Full)
		if !exists {
			p.add(Change{Action: Create, Kind: Machine, Name: n.Full, Node: planned(n)})
			continue
		}
		p.add(o.keep(n, m))
	}
	for _, m := range byName(o.Machines) {
		if _, stray := strays[m.Name]; stray {
			p.add(Change{Action: Keep, Kind: Machine, Name: m.Name, Node: nodeOf(m), Reason: "it carries the cluster's mark, and the spec has no such node"})
		}
	}
}

// keep plans for a machine that exists.
func (o Observed) keep(n spec.Node, m provider.Machine) Change {
	c := Change{Action: Keep, Kind: Machine, Name: n.Full, Node: planned(n), Drift: drift(n, m)}
	c.Node.ID, c.Node.Place = m.ID, m.Place
	if !o.Recorded[n.Name] {
		c.Action, c.Reason = Adopt, "it carries the cluster's mark, and no state here knows it"
	}
	return c
}

// drift says how a machine differs from its node; what the provider itself
// noticed comes last.
func drift(n spec.Node, m provider.Machine) []string {
	var found []string
	differ := func(what string, want, got any) {
		if want != got {
			found = append(found, fmt.Sprintf("%s is %v, the spec says %v", what, got, want))
		}
	}
	differ("cpus", n.CPUs, m.CPUs)
	differ("memory (MiB)", n.Memory, m.Memory)
	differ("disk (GiB)", n.Disk, m.Disk)
	differ("uuid", n.UUID, m.UUID)
	differ("mac", n.MAC.String(), cmp.Or(macOf(m), "missing"))
	for _, said := range m.Adrift {
		if !slices.Contains(found, said) {
			found = append(found, said)
		}
	}
	return found
}

// macOf is the MAC of m's first NIC, "" without one.
func macOf(m provider.Machine) string {
	if len(m.NICs) == 0 {
		return ""
	}
	return m.NICs[0].MAC.String()
}

// planned is the node as the spec has it.
func planned(n spec.Node) *Node {
	return &Node{
		Name: n.Name, Role: n.Role, CPUs: n.CPUs, Memory: n.Memory, Disk: n.Disk,
		Address: n.Address.String(), MAC: n.MAC.String(), UUID: n.UUID.String(),
	}
}

// nodeOf is the node as far as its machine tells.
func nodeOf(m provider.Machine) *Node {
	return &Node{
		Name: m.Node, CPUs: m.CPUs, Memory: m.Memory, Disk: m.Disk,
		MAC: macOf(m), UUID: m.UUID.String(), ID: m.ID, Place: m.Place,
	}
}

func byName(machines []provider.Machine) []provider.Machine {
	sorted := slices.Clone(machines)
	slices.SortFunc(sorted, func(a, b provider.Machine) int { return cmp.Compare(a.Name, b.Name) })
	return sorted
}
