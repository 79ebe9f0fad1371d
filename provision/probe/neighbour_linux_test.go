package probe

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/internal/netlab/netlabtest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
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
		{"without a way there", "2001:db8:1::7", Neighbour{}},
	} {
		began := time.Now()
		got, err := LookForNeighbour(t.Context(), netip.MustParseAddr(tt.address), 2*time.Second)
		if err != nil || got.MAC.String() != tt.want.MAC.String() || got.Here != tt.want.Here {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %s", tt.name, took)
		}
	}
}
