package spec

import (
	"fmt"
	"net"

	"github.com/hashicorp/hcl/v2"
)

type rawMachines struct {
	Label      string         `hcl:"name,label"`
	LabelRange hcl.Range      `hcl:"name,label_range"`
	Range      hcl.Range      `hcl:",def_range"`
	Count      *hcl.Attribute `hcl:"count,optional"`
	ForEach    *hcl.Attribute `hcl:"for_each,optional"`
	Role       *hcl.Attribute `hcl:"role,optional"`
	CPUs       *hcl.Attribute `hcl:"cpus,optional"`
	Memory     *hcl.Attribute `hcl:"memory,optional"`
	Disk       *hcl.Attribute `hcl:"disk,optional"`
	Network    *hcl.Attribute `hcl:"network,optional"`
	Addresses  *hcl.Attribute `hcl:"addresses,optional"`
	MACs       *hcl.Attribute `hcl:"macs,optional"`
	Spread     *hcl.Attribute `hcl:"spread,optional"`
	Labels     *hcl.Attribute `hcl:"labels,optional"`
}

// What a machine has when the spec does not say.
const (
	defaultCPUs   = 8
	defaultMemory = 16 << 10 // MiB
	defaultDisk   = 250      // GiB
)

// maxCount bounds the nodes of one machines block, and of a range of
// addresses: five times what the largest tested OpenShift cluster has.
const maxCount = 10000

// machines is a machines block with its nodes.
type machines struct {
	raw   *rawMachines
	role  Role // of nodes that have none of their own
	nodes []*node
	// unclear: the number of nodes or their role is not known, for reasons
	// already given
	unclear bool
}

// A node is a Node, and where its parts were written.
type node struct {
	Node
	net              *network // nil: not known
	free             bool     // to be given a free address
	addressAt, macAt hcl.Range
}

func (m *machines) String() string { return fmt.Sprintf("machines %q", m.raw.Label) }

func (l *loader) machines(c *cluster, raw *rawMachines) *machines {
	l.named("machines block", raw.Label, maxLabel-len("-0"), raw.LabelRange)
	lists := l.lists(raw)
	instances, counted := l.instances(raw, lists)
	m := &machines{raw: raw, role: roleOf(raw), unclear: !counted}
	first := node{Node: Node{Role: m.role, CPUs: defaultCPUs, Memory: defaultMemory, Disk: defaultDisk, Spread: SpreadNode, Range: raw.Range}, net: c.network}
	m.unclear = !l.traits(&first, raw.shared()) || m.unclear
	own := raw.own()
	for _, in := range instances {
		n := first
		n.identify(c, raw, in)
		if own != nil {
			l.in(in.context(l.ctx), func() { m.unclear = !l.traits(&n, *own) || m.unclear })
		}
		m.nodes = append(m.nodes, &n)
	}
	l.equip(m, lists, instances, counted)
	if c.Domain != "" && len(m.nodes) > 0 {
		l.fits(m.longest(), raw.LabelRange)
	}
	return m
}

// longest is the longest full name of a node.
func (m *machines) longest() string {
	longest := ""
	for _, n := range m.nodes {
		if len(n.Full) >= len(longest) {
			longest = n.Full
		}
	}
	return longest
}

// identify gives n all that follows from its name.
func (n *node) identify(c *cluster, raw *rawMachines, in instance) {
	n.Name = raw.Label + "-" + in.key
	n.Full = n.Name + "." + c.FullName()
	n.MAC, n.macAt = macOf(n.Full, 0), raw.Range
	n.UUID = uuidOf(n.Full)
}

func roleOf(raw *rawMachines) Role {
	if raw.Label == "control" {
		return ControlPlane
	}
	return Worker
}

// traits reads into n what raw says of each node. It returns false when the
// role is not known.
func (l *loader) traits(n *node, raw rawMachines) bool {
	if cpus, ok := l.integer(raw.CPUs, 1, 1024, "8"); ok {
		n.CPUs = cpus
	}
	if memory, ok := l.size(raw.Memory, "MiB", `"16GiB"`); ok {
		n.Memory = memory
	}
	if disk, ok := l.size(raw.Disk, "GiB", `"250GiB"`); ok {
		n.Disk = disk
	}
	n.Spread = l.choice(raw.Spread, n.Spread, []string{SpreadNode, SpreadNone})
	if labels, ok := l.nodeLabels(raw.Labels); ok {
		n.Labels = labels
	}
	if raw.Network != nil {
		n.net = l.chosenNetwork(raw.Network)
	}
	return l.role(n, raw.Role)
}

func (l *loader) chosenNetwork(a *hcl.Attribute) *network {
	var labels []string
	for _, n := range l.nets {
		labels = append(labels, n.Label)
	}
	if i := l.chosen("network", a, labels); i >= 0 {
		return l.nets[i]
	}
	return nil
}

func (l *loader) role(n *node, a *hcl.Attribute) bool {
	if a == nil {
		return true
	}
	roles := []string{string(ControlPlane), string(Worker)}
	text, ok := l.text(a, `"worker"`)
	switch Role(text) {
	case ControlPlane, Worker:
		n.Role = Role(text)
		return ok
	}
	if ok {
		l.errorf(a.Expr.Range(), "Invalid role", "%q is not a role. %s", text, didYouMean(text, roles))
	}
	return false
}

// equip gives the nodes the addresses and MACs that are written.
func (l *loader) equip(m *machines, lists lists, instances []instance, counted bool) {
	if counted && lists.addressesOK && lists.static() {
		l.length(m, m.raw.Addresses, len(lists.addresses))
	}
	if counted && lists.macsOK && lists.macs != nil {
		l.length(m, m.raw.MACs, len(lists.macs))
	}
	for i, n := range m.nodes {
		one := lists.of(i)
		if varies(m.raw.Addresses) || varies(m.raw.MACs) {
			l.in(instances[i].context(l.ctx), func() { one = l.own(m, n, one) })
		}
		n.free = m.raw.Addresses == nil
		if one.address.addr.IsValid() {
			n.Address, n.addressAt = one.address.addr, one.address.at
		}
		if one.mac.at != (hcl.Range{}) {
			n.MAC, n.macAt = l.mac(n.Name, one.mac), one.mac.at
		}
	}
}

// length compares what a gives for each node with the number of nodes.
func (l *loader) length(m *machines, a *hcl.Attribute, got int) {
	source := m.raw.source()
	if got == len(m.nodes) || source == nil {
		return
	}
	l.errorf(a.Expr.Range(), "Length mismatch", "%s has %d nodes, by %s at %s, and this lists %d. Write one for each node.",
		m, len(m.nodes), source.Name, source.Expr.Range(), got)
}

func (l *loader) mac(name string, i item) net.HardwareAddr {
	mac, err := net.ParseMAC(i.text)
	switch {
	case err != nil || len(mac) != 6:
		l.errorf(i.at, "Invalid MAC address", "Node %q: %q is not a MAC address. Write six hex bytes, such as 52:54:00:ab:cd:01.", name, i.text)
	case mac[0]&1 == 1:
		l.errorf(i.at, "Invalid MAC address", "Node %q: %q is a group address, the first byte is odd. Write one such as 52:54:00:ab:cd:01.", name, i.text)
	default:
		return mac
	}
	return nil
}
