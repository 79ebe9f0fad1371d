package spec

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// uniqueness finds addresses, MACs and names that are used twice in one spec.
type uniqueness struct {
	l         *loader
	addresses map[netip.Addr]use
	macs      map[string]use
}

// A use is who has an address or MAC, and where that is written.
type use struct {
	who string
	at  hcl.Range
}

// servicesAddresses are all addresses of the services that are known, each once.
func servicesAddresses(s Services) (all []netip.Addr) {
	for _, a := range append(s.Addresses(), s.Address, s.Balancer.Address) {
		if a.IsValid() && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

func (u *uniqueness) cluster(c *cluster) {
	for _, addr := range servicesAddresses(c.Services) {
		u.address(addr, use{"services of cluster " + c.Name, c.Services.Range})
	}
	if m := c.Services.Machine; m != nil {
		u.mac(m.MAC, use{"the services machine of cluster " + c.Name, m.Range})
	}
	names := map[string]hcl.Range{}
	for n := range c.each {
		if !u.name(n, names) {
			continue // its MAC is the other's as well
		}
		if n.Address.IsValid() && n.addressAt != (hcl.Range{}) {
			u.node(n)
		}
		if n.MAC != nil {
			u.mac(n.MAC, use{fmt.Sprintf("node %q", n.Name), n.macAt})
		}
	}
}

// serviceNames are those that a cluster has besides its nodes'.
var serviceNames = []string{"api", "api-int", "apps"}

func (u *uniqueness) name(n *node, names map[string]hcl.Range) bool {
	if slices.Contains(serviceNames, n.Name) {
		u.l.errorf(n.Range, "Reserved name", "Node %q would have the name %s, which is one of the cluster itself. Give this block another label.", n.Name, n.Full)
	}
	at, there := names[n.Name]
	if there {
		u.l.errorf(n.Range, "Duplicate name", "There is a node %q of the block at %s already. Give this block another label, or another key.", n.Name, at)
	}
	names[n.Name] = n.Range
	return !there
}

func (u *uniqueness) node(n *node) {
	if n.net == nil || !n.net.CIDR.IsValid() {
		return
	}
	if why := n.net.unfit(n.Address); why != "" {
		u.l.errorf(n.addressAt, "Invalid node address", "Node %q: %s %s. Write a free address in %s.", n.Name, n.Address, why, n.net.CIDR)
		return
	}
	u.address(n.Address, use{fmt.Sprintf("node %q", n.Name), n.addressAt})
}

func (u *uniqueness) address(addr netip.Addr, by use) {
	before, used := u.addresses[addr]
	if !used {
		u.addresses[addr] = by
		return
	}
	u.l.errorf(by.at, "Duplicate address", "%s is to be the address of %s, and is that of %s already, at %s. Write another one.", addr, by.who, before.who, before.at)
}

func (u *uniqueness) mac(mac net.HardwareAddr, by use) {
	before, used := u.macs[mac.String()]
	if !used {
		u.macs[mac.String()] = by
		return
	}
	u.l.errorf(by.at, "Duplicate MAC address", "%s is to be the MAC address of %s, and is that of %s already, at %s. Write another one.", mac, by.who, before.who, before.at)
}
