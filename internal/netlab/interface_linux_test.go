package netlab

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
)

// A machine configures its own interface as a Port does; a link-local address
// stays.
func TestOwnInterface(t *testing.T) {
	if !inside(t) {
		return
	}
	l := lab(t)
	i, err := Own("eth0")
	must(t, err)
	t.Cleanup(func() { must(t, i.Close()) })
	local, other := netip.MustParsePrefix("169.254.1.2/24"), netip.MustParsePrefix("192.0.2.77/24")
	must(t, i.address(i.link, []netip.Prefix{local}))
	must(t, i.Configure([]netip.Prefix{other}, netip.MustParseAddr("192.0.2.1"), 1400))
	addrs, err := i.net.AddrList(i.link, netlink.FAMILY_V4)
	must(t, err)
	if len(addrs) != 2 || addrs[0].IPNet.String() != local.String() || addrs[1].IPNet.String() != other.String() {
		t.Errorf("addresses %v, want %s and %s", addrs, local, other)
	}
	greet(t, l.Datacentre(), "198.51.100.10:80", "hello")
	c, err := i.Dial(t.Context(), "tcp", "198.51.100.10:80")
	must(t, err)
	must(t, c.Close())
	must(t, i.Down())
	must(t, i.Up())
	if _, err := Own("none"); err == nil || err.Error() != "interface none: Link not found" {
		t.Error(err)
	}
}
