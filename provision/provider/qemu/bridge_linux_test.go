package qemu

import (
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/slipway-project/slipway/internal/netlab/netlabtest"
	"github.com/slipway-project/slipway/provision/provider"
)

// inside reports whether the test runs in namespaces of its own, where it may
// make bridges. If not, it runs there, and its result is that of this test.
func inside(t *testing.T) bool {
	t.Helper()
	if !netlabtest.IsInside() {
		needTaps(t)
	}
	return netlabtest.Inside(t, impatient)
}

// bridge makes a bridge that ends with the test.
func bridge(t *testing.T, name string, filtering bool) netlink.Link {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	b := &netlink.Bridge{LinkAttrs: attrs}
	if filtering {
		b.VlanFiltering = &filtering
	}
	err := netlink.LinkAdd(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(b) }) // some tests remove it themselves
	if err := netlink.LinkSetUp(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTapsComeAndGoWithMachines(t *testing.T) {
	if !inside(t) {
		return
	}
	b := bridge(t, "br0", false)
	p := openedOn(t, directoryOf(t), NetworkBridge)
	m, err := p.Allocate(t.Context(), asked(0), nil)
	if err != nil {
		t.Fatal(err)
	}
	m.NICs = append(m.NICs, provider.NIC{MAC: []byte{2, 0, 0, 0, 1, 0}, Bridge: "br0", MTU: 1400})
	if m, err = p.Ensure(within(t), m); err != nil {
		t.Fatal(err)
	}
	taps := []string{"sw" + m.ID + "0", "sw" + m.ID + "1"}
	gone := func() bool {
		for _, name := range taps {
			if _, err := netlink.LinkByName(name); err == nil {
				return false
			}
		}
		return true
	}
	for name, end := range map[string]func(){
		"power off": func() {
			if err := p.PowerOff(within(t), m); err != nil {
				t.Error(err)
			}
		},
		"the supervisor is killed": func() { endKeeper(t, p, syscall.SIGKILL) },
	} {
		t.Run(name, func(t *testing.T) {
			powered(t, p, m)
			for i, mtu := range []int{1500, 1400} {
				tap, err := netlink.LinkByName(taps[i])
				if err != nil {
					t.Fatal(err)
				}
				if a := tap.Attrs(); a.MasterIndex != b.Attrs().Index || a.MTU != mtu || a.Flags&1 == 0 {
					t.Errorf("%s: bridge %d, MTU %d, flags %s", taps[i], a.MasterIndex, a.MTU, a.Flags)
				}
			}
			end()
			until(t, "the taps are gone", gone)
		})
	}
	if err := p.Release(within(t), m); err != nil {
		t.Fatal(err)
	}
	if left := runs(t, p.dir); len(left) != 0 || !gone() {
		t.Errorf("left: %v", left)
	}
}

func TestPowerOnNamesWhatIsWrongWithTheNetwork(t *testing.T) {
	if !inside(t) {
		return
	}
	p := openedOn(t, directoryOf(t), NetworkBridge)
	m := made(t, p, 0, halts)
	if err := p.PowerOn(within(t), m); err == nil || !strings.Contains(err.Error(), "bridge br0: Link not found") {
		t.Errorf("without a bridge: %v", err)
	}
	bridge(t, "br0", false)
	tap, err := openTap("sw" + m.ID + "0")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.PowerOn(within(t), m); err == nil || !strings.Contains(err.Error(), "another machine of this name runs on this host") {
		t.Errorf("with a busy tap: %v", err)
	}
	tap.Close()
	powered(t, p, m)
}

func TestCheckLinks(t *testing.T) {
	if !inside(t) {
		return
	}
	p := openedOn(t, directoryOf(t), NetworkBridge)
	link := func(bridge string, vlan, mtu int) provider.NIC {
		return provider.NIC{Bridge: bridge, VLAN: vlan, MTU: mtu}
	}
	problems := func(nics ...provider.NIC) []provider.Problem {
		m := asked(0)
		m.NICs = nics
		return p.Check(within(t), provider.Request{Machines: []provider.Machine{m}})
	}
	sameProblems(t, []string{`fatal: bridge "br0" does not exist on this host`}, problems(link("br0", 0, 0)))
	bridge(t, "br0", false)
	down := bridge(t, "br1", false)
	if err := netlink.LinkSetDown(down); err != nil {
		t.Fatal(err)
	}
	sameProblems(t, nil, problems(link("br0", 0, 0), link("br0", 0, 1500)))
	sameProblems(t, []string{
		`fatal: machines ask for an MTU of 9000, and that of bridge "br0" is 1500`,
		`fatal: bridge "br0" knows no VLANs, and machines ask for VLAN 40`,
		`fatal: bridge "br1" is down`,
		`fatal: bridge "br2" does not exist on this host`,
		`fatal: "lo" is no bridge, but of type device`,
	}, problems(link("br0", 40, 0), link("br0", 0, 9000), link("br1", 0, 0), link("br2", 0, 0), link("br2", 0, 0), link("lo", 0, 0)))
}
