package qemu

import (
	"bytes"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/slipway-project/slipway/dhcpserver"
	"github.com/slipway-project/slipway/provision/provider"
)

// Ports of one bridge hear each other, and those of two do not.
func TestBridgesAreApart(t *testing.T) {
	if !inside(t) {
		return
	}
	bridge(t, "br0", false)
	bridge(t, "br1", false)
	onTwoWires(t, provider.NIC{Bridge: "br0"}, provider.NIC{Bridge: "br0"}, provider.NIC{Bridge: "br1"})
}

// onTwoWires asserts that what is said at one port is heard at the second, and
// not at the third.
func onTwoWires(t *testing.T, speaks, near, far provider.NIC) {
	t.Helper()
	speaker, neighbour, stranger := port(t, "sw0", speaks), port(t, "sw1", near), port(t, "sw2", far)
	until(t, "the neighbour hears it", func() bool {
		if _, err := speaker.Write(shout); err != nil {
			t.Fatal(err)
		}
		return hears(t, neighbour, 100*time.Millisecond)
	})
	if hears(t, stranger, 200*time.Millisecond) {
		t.Error("who is on another wire hears it")
	}
}

// shout is a broadcast of an experimental protocol (IEEE 802, 0x88b5), after a
// virtio header of ten bytes that asks for nothing.
var shout = append(make([]byte, 10), append([]byte{
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, bytes.Repeat([]byte("slipway "), 8)...)...)

// port is a tap that a machine would have.
func port(t *testing.T, name string, nic provider.NIC) *os.File {
	t.Helper()
	tap, err := newTap(name, nic)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tap.Close() })
	return tap
}

// hears reports whether a port hears the shout within that time.
func hears(t *testing.T, port *os.File, limit time.Duration) bool {
	t.Helper()
	if err := port.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 1<<16)
	for {
		n, err := port.Read(frame)
		if err != nil {
			return false
		}
		if bytes.Equal(frame[10:n], shout[10:]) {
			return true
		}
	}
}

// In a private network the VLANs of one bridge are wires of their own: who has
// a reservation in one is answered there, and not in the other.
func TestVLANsOfAPrivateNetworkAreApart(t *testing.T) {
	needTaps(t)
	p := openedOn(t, directoryOf(t), NetworkPrivate)
	if err := os.MkdirAll(p.machines(), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := p.EnsureNet(within(t), mark, twoVLANs()); err != nil {
		t.Fatal(err)
	}
	for segment, want := range map[string]string{"segment0": "192.0.2.10", "segment1": "nothing"} {
		if got := said(t, enter(t, p, "lease "+segment)); got != want {
			t.Errorf("on %s it is given %s, want %s", segment, got, want)
		}
	}
}

func twoVLANs() provider.Net {
	vlan := func(id int, address string, mac byte, reserved string) provider.Segment {
		return provider.Segment{Bridge: "br0", VLAN: id, Addresses: []netip.Prefix{netip.MustParsePrefix(address)},
			Reservations: []dhcpserver.Reservation{{Name: "node", MAC: dhcpserver.MAC{2, 0, 0, 0, 0, mac}, Address: netip.MustParseAddr(reserved)}}}
	}
	return provider.Net{Segments: []provider.Segment{vlan(10, "192.0.2.1/24", 0, "192.0.2.10"), vlan(20, "198.51.100.1/24", 1, "198.51.100.10")}}
}
