package spec

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

type rawMachines struct {
	Label      string         `hcl:"name,label"`
	LabelRange hcl.Range      `hcl:"name,label_range"`
	Range      hcl.Range      `hcl:",def_range"`
	Count      *hcl.Attribute `hcl:"count,optional"`
	Role       *hcl.Attribute `hcl:"role,optional"`
	CPUs       *hcl.Attribute `hcl:"cpus,optional"`
	Memory     *hcl.Attribute `hcl:"memory,optional"`
	Disk       *hcl.Attribute `hcl:"disk,optional"`
	Addresses  *hcl.Attribute `hcl:"addresses,optional"`
	MACs       *hcl.Attribute `hcl:"macs,optional"`
}

// What a machine has when the spec does not say.
const (
	defaultCPUs   = 8
	defaultMemory = 16 << 10 // MiB
	defaultDisk   = 250      // GiB
)

const maxCount = 500 // nodes of one machines block

// machines is a machines block with its nodes.
type machines struct {
	raw   *rawMachines
	role  Role
	nodes []*node
	// unclear: the number of nodes or their role is not known, for reasons
	// already given
	unclear bool
}

// A node is a Node, and where its parts were written.
type node struct {
	Node
	addressAt, macAt hcl.Range
}

func (l *loader) machines(c *cluster, raw *rawMachines) *machines {
	role, roleOK := l.role(raw)
	l.named("machines block", raw.Label, maxLabel-len("-499"), raw.LabelRange)
	addresses, addressesOK := l.addresses(raw.Addresses)
	macs, macsOK := l.items(raw.MACs, `["52:54:00:ab:cd:01"]`)
	count, countOK := l.count(raw, len(addresses), addressesOK)
	if !countOK { // look at what is given for each node all the same
		count = min(max(len(addresses), len(macs)), maxCount)
	}
	m := &machines{raw: raw, role: role, unclear: !roleOK || !countOK}
	m.nodes = newNodes(c, raw, l.hardware(raw, role), count)
	if countOK && addressesOK {
		l.length(m, raw.Addresses, len(addresses))
	}
	if countOK && macsOK {
		l.length(m, raw.MACs, len(macs))
	}
	l.equip(c, m, addresses, macs)
	return m
}

func (m *machines) String() string { return fmt.Sprintf("machines %q", m.raw.Label) }

// hardware is what all nodes of a block have in common.
func (l *loader) hardware(raw *rawMachines, role Role) Node {
	n := Node{Role: role, CPUs: defaultCPUs, Memory: defaultMemory, Disk: defaultDisk, Range: raw.Range}
	if cpus, ok := l.whole(raw.CPUs, 1, 1024, "8"); ok {
		n.CPUs = cpus
	}
	if memory, ok := l.size(raw.Memory, "MiB", `"16GiB"`); ok {
		n.Memory = memory
	}
	if disk, ok := l.size(raw.Disk, "GiB", `"250GiB"`); ok {
		n.Disk = disk
	}
	return n
}

func (l *loader) role(raw *rawMachines) (Role, bool) {
	role := Worker
	if raw.Label == "control" {
		role = ControlPlane
	}
	if raw.Role == nil {
		return role, true
	}
	text, ok := l.text(raw.Role, `"worker"`)
	if ok && Role(text) != ControlPlane && Role(text) != Worker {
		l.errorf(raw.Role.Expr.Range(), "Invalid role", "%q is not a role. Write role = %q or role = %q.", text, ControlPlane, Worker)
		return role, false
	}
	return Role(text), ok
}

// count is how many nodes raw asks for: as many as it has addresses, if it
// does not say.
func (l *loader) count(raw *rawMachines, addresses int, addressesOK bool) (int, bool) {
	if raw.Count == nil && raw.Addresses != nil {
		return addresses, addressesOK
	}
	if l.missing(raw.Count, raw.Range, "count", "3") {
		return 0, false
	}
	return l.whole(raw.Count, 0, maxCount, "3")
}

func newNodes(c *cluster, raw *rawMachines, hardware Node, count int) []*node {
	var nodes []*node
	for i := range count {
		n := &node{Node: hardware}
		n.Name = fmt.Sprintf("%s-%d", raw.Label, i)
		n.Full = n.Name + "." + c.FullName()
		n.MAC, n.macAt = macOf(n.Full, 0), raw.Range
		n.UUID = uuidOf(n.Full)
		nodes = append(nodes, n)
	}
	return nodes
}

// length compares what a gives for each node with the number of nodes.
func (l *loader) length(m *machines, a *hcl.Attribute, got int) {
	if a == nil || got == len(m.nodes) {
		return
	}
	source := m.raw.Count
	if source == nil {
		source = m.raw.Addresses
	}
	l.errorf(a.Expr.Range(), "Length mismatch", "%s has %d nodes, by %s at %s, and this lists %d. Write one for each node.",
		m, len(m.nodes), source.Name, source.Expr.Range(), got)
}

// equip gives the nodes the addresses and MACs that are written.
func (l *loader) equip(c *cluster, m *machines, addresses []address, macs []item) {
	for i, n := range m.nodes {
		if c.Domain != "" && i == len(m.nodes)-1 {
			l.fits(n.Full, m.raw.LabelRange)
		}
		if i < len(addresses) {
			n.Address, n.addressAt = addresses[i].addr, addresses[i].at
		}
		if i < len(macs) {
			n.MAC, n.macAt = l.mac(n.Name, macs[i]), macs[i].at
		}
	}
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

// An address is a node's, and where it was written.
type address struct {
	addr netip.Addr
	at   hcl.Range
}

const addressesExample = `"192.0.2.201-203"`

// addresses reads "192.0.2.201-203", one address, or a list of both. It is
// empty when one of them is wrong.
func (l *loader) addresses(a *hcl.Attribute) ([]address, bool) {
	items, ok := l.items(a, addressesExample)
	var list []address
	for _, i := range items {
		if i.text == "dhcp" {
			l.errorf(i.at, "Static addresses only", "Addresses by DHCP are not supported. Write addresses = %s, or leave them out: then the free addresses after that of the services are taken.", addressesExample)
			return nil, false
		}
		first, last, good := l.addressRange(i)
		for addr := first; good && addr.Compare(last) <= 0; addr = addr.Next() {
			list = append(list, address{addr, i.at})
		}
		ok = ok && good
	}
	if !ok {
		return nil, false
	}
	return list, true
}

// addressRange reads 192.0.2.201-203 or 192.0.2.201-192.0.2.203.
func (l *loader) addressRange(i item) (first, last netip.Addr, ok bool) {
	from, to, isRange := strings.Cut(i.text, "-")
	first, ok = l.parseAddress(item{from, i.at}, addressesExample)
	if !ok || !isRange {
		return first, first, ok
	}
	if last, ok = withLastOctet(first, to); !ok {
		if last, ok = l.parseAddress(item{to, i.at}, addressesExample); !ok {
			return first, last, false
		}
	}
	if size := int64(number(last)) - int64(number(first)); size < 0 || size >= maxCount {
		l.errorf(i.at, "Invalid address range", "%q runs backwards, or has more than %d addresses. Write the first address and the last octet, such as %s.", i.text, maxCount, addressesExample)
		return first, last, false
	}
	return first, last, true
}

func withLastOctet(addr netip.Addr, octet string) (netip.Addr, bool) {
	n, err := strconv.ParseUint(octet, 10, 8)
	b := addr.As4()
	b[3] = byte(n)
	return netip.AddrFrom4(b), err == nil
}

func number(addr netip.Addr) uint32 {
	b := addr.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
