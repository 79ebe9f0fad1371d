package qemu

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/provision/provider"
)

// checkMemory compares what new machines ask for with what is free. A guest
// takes what it touches: more than there is is a warning, unless QEMU itself
// would be refused.
func (p *Provider) checkMemory(s *survey) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		s.failed(fmt.Errorf("memory of this host: %w", err))
		return
	}
	total, sum := int64(info.Totalram+info.Totalswap)*int64(info.Unit), int64(0)
	for _, m := range s.new {
		_, memory := p.cfg.Limits.of(m.CPUs, m.Memory)
		need := int64(memory) << 20
		sum += need
		if need > total {
			s.fatal("give it less memory in the spec", "machine %s is to have %s of memory, and this host has %s", m.Name, size(need), size(total))
		}
	}
	if sum > total {
		s.warn("when guests use theirs, the kernel kills one: use fewer or smaller machines", "machines are to have %s of memory, and this host has %s", size(sum), size(total))
	}
}

// checkLinks looks at each bridge that machines are to be plugged into, and
// for the right to do so.
func (p *Provider) checkLinks(s *survey) {
	switch p.cfg.Network {
	case NetworkPrivate:
		checkPrivate(s)
		return
	case networkUser:
		return
	}
	checkRights(s)
	for _, nic := range wanted(s.want.Machines) {
		checkBridge(s, nic)
	}
}

// wanted are the links of all machines, each once.
func wanted(machines []provider.Machine) (nics []provider.NIC) {
	for _, m := range machines {
		for _, nic := range m.NICs {
			nic.MAC = nil
			nics = append(nics, nic)
		}
	}
	slices.SortFunc(nics, compareNICs)
	return slices.CompactFunc(nics, func(a, b provider.NIC) bool { return compareNICs(a, b) == 0 })
}

func compareNICs(a, b provider.NIC) int {
	return cmp.Or(cmp.Compare(a.Bridge, b.Bridge), cmp.Compare(a.VLAN, b.VLAN), cmp.Compare(a.MTU, b.MTU))
}

// checkPrivate looks for what a private network is made with: the way in,
// namespaces, and taps.
func checkPrivate(s *survey) {
	wait, err := netlab.Spawn(exec.Command("nsenter", "--version"))
	switch {
	case err == nil:
		_ = wait()
	case errors.Is(err, exec.ErrNotFound):
		s.fatal("install it: package util-linux", "nsenter is not installed")
	default:
		s.failed(fmt.Errorf("a private network needs namespaces: %w", err))
	}
	if err := unix.Access(tunDevice, unix.R_OK|unix.W_OK); err != nil {
		s.fatal("sudo modprobe tun && sudo chmod 0666 "+tunDevice+", which is how most systems have it; in a container, pass the device",
			"a private network needs %s: %v", tunDevice, err)
	}
}

// checkRights makes a tap, which vanishes at once.
func checkRights(s *survey) {
	const asRoot = "run the same command with sudo"
	tap, err := openTap("swcheck%d") // the kernel puts a number
	switch {
	case err == nil:
		tap.Close()
	case errors.Is(err, os.ErrNotExist):
		s.fatal("load the module: sudo modprobe tun; in a container, pass the device", "there is no %s", tunDevice)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		s.fatal(asRoot, "machines cannot be plugged into a bridge without CAP_NET_ADMIN: %v", err)
	default:
		s.failed(err)
	}
}

func checkBridge(s *survey, nic provider.NIC) {
	link, err := netlink.LinkByName(nic.Bridge)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		s.fatal(advice(nic.Bridge), "bridge %q does not exist on this host", nic.Bridge)
		return
	}
	if err != nil {
		s.failed(fmt.Errorf("bridge %s: %w", nic.Bridge, err))
		return
	}
	bridge, ok := link.(*netlink.Bridge)
	switch {
	case !ok:
		s.fatal(advice(nic.Bridge), "%q is no bridge, but of type %s", nic.Bridge, link.Type())
	case nic.VLAN != 0 && (bridge.VlanFiltering == nil || !*bridge.VlanFiltering):
		s.fatal("sudo ip link set "+nic.Bridge+" type bridge vlan_filtering 1, or name a bridge of that VLAN", "bridge %q knows no VLANs, and machines ask for VLAN %d", nic.Bridge, nic.VLAN)
	case nic.MTU > link.Attrs().MTU:
		s.fatal(fmt.Sprintf("write mtu = %d, or give the bridge the MTU", link.Attrs().MTU), "machines ask for an MTU of %d, and that of bridge %q is %d", nic.MTU, nic.Bridge, link.Attrs().MTU)
	case link.Attrs().Flags&unix.IFF_UP == 0:
		s.fatal("sudo ip link set "+nic.Bridge+" up", "bridge %q is down", nic.Bridge)
	}
}

// advice names the bridges there are.
func advice(bridge string) string {
	links, err := netlink.LinkList()
	var names []string
	for _, l := range links {
		if l.Type() == "bridge" {
			names = append(names, l.Attrs().Name)
		}
	}
	if err != nil || len(names) == 0 {
		return "make one with your network configuration, or for a trial: sudo ip link add " + bridge + " type bridge && sudo ip link set " + bridge + " up"
	}
	return fmt.Sprintf("set bridge in the network block to one of: %v", names)
}
