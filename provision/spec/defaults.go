package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// defaults lists what c got without the spec saying so, in the order in which
// it would be written.
func (c *cluster) defaults() {
	for _, n := range c.networks() {
		c.networkDefaults(n)
	}
	c.ownDefaults()
	c.servicesMachineDefaults()
	for _, m := range c.machines {
		c.machinesDefaults(m)
	}
	for _, raw := range c.raw.Checks {
		of := fmt.Sprintf("check %q", raw.Label)
		c.left(raw.Status, of, "status", strconv.Itoa(defaultStatus), "that is what a page that works answers", raw.Range)
		c.left(raw.Within, of, "within", `"10m"`, "operators may settle that long after the nodes are Ready", raw.Range)
	}
}

// left notes a default, when a is not written.
func (c *cluster) left(a *hcl.Attribute, of, name, value, why string, at hcl.Range) {
	if a == nil {
		c.Defaults = append(c.Defaults, Default{of + ": " + name, value, why, at})
	}
}

// networks are those that c is in, its own first.
func (c *cluster) networks() []*network {
	list := []*network{c.network}
	for n := range c.each {
		if !slices.Contains(list, n.net) {
			list = append(list, n.net)
		}
	}
	return list
}

func (c *cluster) networkDefaults(n *network) {
	of := fmt.Sprintf("network %q", n.Label)
	c.left(n.raw.Bridge, of, "bridge", strconv.Quote(n.Bridge), "that is the first bridge of a Proxmox VE host", n.Range)
	c.left(n.raw.VLAN, of, "vlan", "none", "frames are untagged", n.Range)
	c.left(n.raw.MTU, of, "mtu", "none", "the bridge's own holds", n.Range)
	if len(n.Upstream) > 0 {
		c.left(n.raw.Upstream, of, "upstream", listOf(n.Upstream), "most routers answer DNS, and the gateway is one", n.Range)
	}
}

func (c *cluster) ownDefaults() {
	of, at := fmt.Sprintf("cluster %q", c.Name), c.Range
	c.left(c.raw.Provider, of, "provider", strconv.Quote(c.Provider.Label), "it is the only provider block", at)
	c.left(c.raw.Network, of, "network", strconv.Quote(c.Network.Label), "it is the only network block", at)
	c.left(c.raw.TTL, of, "ttl", "none", "a cluster lives until `slipway down`", at)
	c.left(c.raw.Protect, of, "protect", "false", "`slipway down` asks before it destroys", at)
	if c.raw.SSH == nil || c.raw.SSH.User == nil {
		c.left(nil, of, "ssh user", strconv.Quote(c.SSH.User), "that is the user of CoreOS images", at)
	}
	if services := c.raw.Services; services != nil {
		c.left(services.Mode, of, "services mode", `"local"`, "DNS and load balancer run on the host of `slipway up`", services.Range)
		if services.DNS == nil || services.DNS.Mode == nil {
			c.left(nil, of, "services dns mode", strconv.Quote(string(c.Services.DNS.Mode)), "slipway answers for the cluster's names itself", services.Range)
		}
		if b := services.Balancer; (b == nil || b.Mode == nil) && c.Services.Mode != ServicesExternal {
			c.left(nil, of, "services load_balancer mode", strconv.Quote(string(c.Services.Balancer.Mode)), "haproxy serves where it is found, else slipway itself", services.Range)
		}
	}
}

func (c *cluster) machinesDefaults(m *machines) {
	raw, of, at := m.raw, m.String(), m.raw.Range
	if source := raw.source(); source != nil && source != raw.Count && source != raw.ForEach {
		c.left(nil, of, "count", strconv.Itoa(len(m.nodes)), "so many "+source.Name+" are listed", at)
	}
	if len(m.nodes) == 0 {
		return
	}
	c.left(raw.Role, of, "role", strconv.Quote(string(m.role)), roleWhy(m.role), at)
	c.left(raw.CPUs, of, "cpus", strconv.Itoa(defaultCPUs), c.least(m, func(n minimum) string { return strconv.Itoa(n.cpus) + " vCPU" }), at)
	c.left(raw.Memory, of, "memory", `"16GiB"`, c.least(m, func(n minimum) string { return strconv.Itoa(n.memory>>10) + " GiB" }), at)
	c.left(raw.Disk, of, "disk", `"250GiB"`, c.least(m, func(n minimum) string { return strconv.Itoa(n.disk) + " GiB" }), at)
	c.left(raw.Network, of, "network", strconv.Quote(c.Network.Label), "it is the cluster's", at)
	if raw.Addresses == nil {
		c.left(nil, of, "addresses", m.allotted(), c.allottedWhy(m), at)
	}
	c.left(raw.MACs, of, "macs", m.derived(), "they follow from the full names, so that they are known before anything exists", at)
	c.left(raw.Spread, of, "spread", strconv.Quote(SpreadNode), "a hypervisor node that fails then takes as few nodes along as can be", at)
}

func roleWhy(role Role) string {
	if role == ControlPlane {
		return "its label is control"
	}
	return "its label is not control"
}

// least says what the installers ask for.
func (c *cluster) least(m *machines, part func(minimum) string) string {
	of := workerMinimum
	switch {
	case m.nodes[0].Role == ControlPlane && len(c.Nodes) == 1:
		of = singleMinimum
	case m.nodes[0].Role == ControlPlane:
		of = controlMinimum
	}
	return fmt.Sprintf("the least for a %s is %s", of.what, part(of))
}

// allotted are the addresses of m, as they would be written.
func (m *machines) allotted() string {
	var addresses []netip.Addr
	for _, n := range m.nodes {
		addresses = append(addresses, n.Address)
	}
	return ranges(addresses)
}

func (c *cluster) allottedWhy(m *machines) string {
	if n := m.nodes[0].net; n != nil && n.CIDR.Contains(c.Services.Address) {
		return "they are the first free ones after the services address"
	}
	return "they are the first free ones of the network"
}

// derived are the MACs of m, of a large block the first ones.
func (m *machines) derived() string {
	const most = 3
	var macs []string
	for _, n := range m.nodes[:min(most, len(m.nodes))] {
		macs = append(macs, strconv.Quote(n.MAC.String()))
	}
	if more := len(m.nodes) - most; more > 0 {
		return fmt.Sprintf("[%s] and %d more", strings.Join(macs, ", "), more)
	}
	return "[" + strings.Join(macs, ", ") + "]"
}

// ranges writes addresses as shortly as a spec can.
func ranges(addresses []netip.Addr) string {
	var parts []string
	for len(addresses) > 0 {
		n := 1
		for n < len(addresses) && addresses[n] == addresses[n-1].Next() {
			n++
		}
		parts = append(parts, strconv.Quote(span4(addresses[0], addresses[n-1])))
		addresses = addresses[n:]
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// span4 writes 192.0.2.201-203.
func span4(first, last netip.Addr) string {
	switch a, b := first.As4(), last.As4(); {
	case first == last:
		return first.String()
	case slices.Equal(a[:3], b[:3]):
		return fmt.Sprintf("%s-%d", first, b[3])
	}
	return fmt.Sprintf("%s-%s", first, last)
}

func listOf(addresses []netip.Addr) string {
	var quoted []string
	for _, a := range addresses {
		quoted = append(quoted, strconv.Quote(a.String()))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
