package qemu

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/provision/provider"
)

func newTap(name string, nic provider.NIC) (*os.File, error) {
	tap, err := openTap(name)
	if err != nil {
		return nil, fmt.Errorf("tap %s: %w", name, err)
	}
	if err := join(name, nic); err != nil {
		tap.Close()
		return nil, fmt.Errorf("tap %s: %w", name, err)
	}
	return tap, nil
}

// tunDevice is where taps come from (Documentation/networking/tuntap.rst).
const tunDevice = "/dev/net/tun"

func openTap(name string) (*os.File, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tunDevice, err)
	}
	err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	if errors.Is(err, unix.EBUSY) {
		err = fmt.Errorf("another machine of this name runs on this host: %w", err)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), tunDevice), nil
}

// join puts the tap on its bridge and brings it up. The bridge's MTU is that
// of the tap too, or the bridge would take the tap's.
func join(name string, nic provider.NIC) error {
	bridge, err := netlink.LinkByName(nic.Bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w", nic.Bridge, err)
	}
	tap, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	mtu := nic.MTU
	if mtu == 0 {
		mtu = bridge.Attrs().MTU
	}
	if err := netlink.LinkSetMTU(tap, mtu); err != nil {
		return fmt.Errorf("MTU %d: %w", mtu, err)
	}
	if err := netlink.LinkSetMaster(tap, bridge); err != nil {
		return fmt.Errorf("join bridge %s: %w", nic.Bridge, err)
	}
	if err := netlink.LinkSetUp(tap); err != nil {
		return err
	}
	return tag(tap, nic)
}

// defaultVLAN is what a bridge puts new ports into.
const defaultVLAN = 1

// tag makes the port an access port of its VLAN, and of no other.
func tag(tap netlink.Link, nic provider.NIC) error {
	if nic.VLAN == 0 {
		return nil
	}
	if err := netlink.BridgeVlanAdd(tap, uint16(nic.VLAN), true, true, false, true); err != nil {
		return fmt.Errorf("VLAN %d on bridge %s: %w", nic.VLAN, nic.Bridge, err)
	}
	if nic.VLAN == defaultVLAN {
		return nil
	}
	err := netlink.BridgeVlanDel(tap, defaultVLAN, true, true, false, true)
	if errors.Is(err, unix.ENOENT) { // the bridge gives its ports none
		return nil
	}
	return err
}
