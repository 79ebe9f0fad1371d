package provision

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/slipway-project/slipway/dhcpserver"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

// In a private network this host is the router and has the services' address;
// nodes by DHCP get free addresses, the same at each run.
func TestWantNet(t *testing.T) {
	at := netip.MustParseAddr
	p := dnsProject(t, "192.0.2.210", "192.0.2.201")
	lan := spec.Network{Bridge: "vmbr0", CIDR: netip.MustParsePrefix("192.0.2.0/24"), Gateway: at("192.0.2.1")}
	storage := spec.Network{Bridge: "vmbr0", VLAN: 7, CIDR: netip.MustParsePrefix("198.51.100.0/25"), Gateway: at("198.51.100.1")}
	mac := func(n byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, n} }
	p.cluster.Nodes = []spec.Node{
		{Name: "control-0", Address: at("192.0.2.2"), MAC: mac(1), Network: lan},
		{Name: "control-1", MAC: mac(2), Network: lan},
		{Name: "control-2", MAC: mac(3), Network: lan},
		{Name: "worker-0", MAC: mac(4), Network: storage},
	}
	prefix := netip.MustParsePrefix
	want := provider.Net{
		Segments: []provider.Segment{
			{Bridge: "vmbr0", Addresses: []netip.Prefix{prefix("192.0.2.1/24"), prefix("192.0.2.210/24")}, DNS: []netip.Addr{at("192.0.2.210")},
				Reservations: []dhcpserver.Reservation{
					{Name: "control-0", MAC: dhcpserver.MAC{2, 0, 0, 0, 0, 1}, Address: at("192.0.2.2")},
					{Name: "control-1", MAC: dhcpserver.MAC{2, 0, 0, 0, 0, 2}, Address: at("192.0.2.3")},
					{Name: "control-2", MAC: dhcpserver.MAC{2, 0, 0, 0, 0, 3}, Address: at("192.0.2.4")},
				}},
			{Bridge: "vmbr0", VLAN: 7, Addresses: []netip.Prefix{prefix("198.51.100.1/25")}, DNS: []netip.Addr{at("192.0.2.210")},
				Reservations: []dhcpserver.Reservation{{Name: "worker-0", MAC: dhcpserver.MAC{2, 0, 0, 0, 0, 4}, Address: at("198.51.100.2")}}},
		},
		Publish: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.210:6443"), netip.MustParseAddrPort("192.0.2.210:443"), netip.MustParseAddrPort("192.0.2.210:80")},
	}
	if diff := cmp.Diff(want, p.wantNet(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
