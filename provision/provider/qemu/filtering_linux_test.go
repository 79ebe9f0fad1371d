//go:build filtering

package qemu

import (
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/slipway-project/slipway/provision/provider"
)

// These tests need a kernel whose bridges filter VLANs
// (CONFIG_BRIDGE_VLAN_FILTERING): TestOnAKernelThatFilters brings one.

// Ports of one bridge hear each other in one VLAN, and not in two.
func TestVLANsOfABridgeAreApart(t *testing.T) {
	if !inside(t) {
		return
	}
	bridge(t, "br0", true)
	for name, vlans := range map[string][3]int{"two VLANs": {40, 40, 41}, "a VLAN and none": {40, 40, 0}, "none and a VLAN": {0, 0, 40}} {
		t.Run(name, func(t *testing.T) {
			of := func(vlan int) provider.NIC { return provider.NIC{Bridge: "br0", VLAN: vlan} }
			onTwoWires(t, of(vlans[0]), of(vlans[1]), of(vlans[2]))
		})
	}
}

func TestATapIsAnAccessPort(t *testing.T) {
	if !inside(t) {
		return
	}
	bridge(t, "br0", true)
	for _, vlan := range []int{1, 40} {
		tap, err := newTap("sw0", provider.NIC{Bridge: "br0", VLAN: vlan})
		if err != nil {
			t.Fatal(err)
		}
		vlans(t, "sw0", uint16(vlan))
		tap.Close()
	}
}

// vlans asserts that a port is in one VLAN alone, as an access port.
func vlans(t *testing.T, port string, want uint16) {
	t.Helper()
	link, err := netlink.LinkByName(port)
	if err != nil {
		t.Fatal(err)
	}
	all, err := netlink.BridgeVlanList()
	if err != nil {
		t.Fatal(err)
	}
	got := all[int32(link.Attrs().Index)]
	if len(got) != 1 || got[0].Vid != want || !got[0].PortVID() || !got[0].EngressUntag() {
		t.Errorf("%s is in VLANs %v", port, got)
	}
}
