package spec

import (
	"fmt"
	"net/netip"

	"github.com/hashicorp/hcl/v2"
)

// uniqueness finds addresses and MACs that are used twice in one spec.
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

func (u *uniqueness) cluster(c *cluster) {
	if addr := c.Services.Address; addr.IsValid() {
		u.address(addr, use{"services of cluster " + c.Name, c.Services.Range})
	}
	for n := range c.each {
		if n.Address.IsValid() && n.addressAt != (hcl.Range{}) {
			u.node(c, n)
		}
		if n.MAC != nil {
			u.mac(n)
		}
	}
}

func (u *uniqueness) node(c *cluster, n *node) {
	if why := c.Network.unfit(n.Address); c.Network.CIDR.IsValid() && why != "" {
		u.l.errorf(n.addressAt, "Invalid node address", "Node %q: %s %s. Write a free address in %s.", n.Name, n.Address, why, c.Network.CIDR)
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

func (u *uniqueness) mac(n *node) {
	by := use{fmt.Sprintf("node %q", n.Name), n.macAt}
	before, used := u.macs[n.MAC.String()]
	if !used {
		u.macs[n.MAC.String()] = by
		return
	}
	u.l.errorf(by.at, "Duplicate MAC address", "%s is to be the MAC address of %s, and is that of %s already, at %s. Write another one.", n.MAC, by.who, before.who, before.at)
}
