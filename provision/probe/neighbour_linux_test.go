package probe

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/internal/netlab/netlabtest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// addMute makes a link that takes everything and asks nobody, as tunnels do.
func addMute(t *testing.T, addresses ...string) {
	t.Helper()
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "mute"}}
	must(t, netlink.LinkAdd(link))
	must(t, netlink.LinkSetARPOff(link))
	for _, text := range addresses {
		a, err := netlink.ParseAddr(text)
		must(t, err)
		must(t, netlink.AddrAdd(link, a))
	}
	must(t, netlink.LinkSetUp(link))
}

// Who has an address on a link of this host is known by its MAC; nobody is
// looked for behind a router.
func TestLookForNeighbour(t *testing.T) {
	if !netlabtest.Inside(t) {
		return
	}
	l, err := netlab.New()
	must(t, err)
	defer func() { must(t, l.Close()) }()
	must(t, l.AddSegment("lan", netip.MustParsePrefix("192.0.2.1/24")))
	must(t, l.Connect("lan", "eth0", []netip.Prefix{netip.MustParsePrefix("192.0.2.210/24"), netip.MustParsePrefix("2001:db8::210/64")}, netip.MustParseAddr("192.0.2.1")))
	squatter := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	machine, err := l.AddMachine("lan", squatter)
	must(t, err)
	must(t, machine.Configure([]netip.Prefix{netip.MustParsePrefix("192.0.2.201/24"), netip.MustParsePrefix("2001:db8::201/64")}, netip.Addr{}, 0))
	must(t, machine.Up())
	addMute(t, "203.0.113.1/24", "2001:db8:2::1/64")
	for _, tt := range []struct {
		name, address string
		want          Neighbour
	}{
		{"somebody else's", "192.0.2.201", Neighbour{MAC: squatter}},
		{"asked for again", "192.0.2.201", Neighbour{MAC: squatter}},
		{"somebody else's, IPv6", "2001:db8::201", Neighbour{MAC: squatter}},
		{"ours", "192.0.2.210", Neighbour{Here: true}},
		{"nobody's", "192.0.2.202", Neighbour{}},
		{"behind the router", "198.51.100.7", Neighbour{}},
		{"where nobody is asked", "203.0.113.7", Neighbour{}},
		{"where nobody is asked, IPv6", "2001:db8:2::7", Neighbour{}},
		{"without a way there", "2001:db8:1::7", Neighbour{}},
	} {
		began := time.Now()
		got, err := LookForNeighbour(t.Context(), netip.MustParseAddr(tt.address), nil, 2*time.Second)
		if err != nil || got.MAC.String() != tt.want.MAC.String() || got.Here != tt.want.Here {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %s", tt.name, took)
		}
	}
	remember(t, "192.0.2.205", squatter)
	began := time.Now()
	got, err := LookForNeighbour(t.Context(), netip.MustParseAddr("192.0.2.205"), squatter, 2*time.Second)
	if took := time.Since(began); err != nil || got.MAC.String() != squatter.String() || took > 2*time.Second {
		t.Errorf("expected and remembered: %+v, %v, after %s", got, err, took)
	}
}

// remember has the kernel know a neighbour that it has not asked for long.
func remember(t *testing.T, address string, mac net.HardwareAddr) {
	t.Helper()
	link, err := netlink.LinkByName("eth0")
	must(t, err)
	must(t, netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_STALE, IP: net.ParseIP(address), HardwareAddr: mac}))
}
