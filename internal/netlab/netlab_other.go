//go:build !linux

package netlab

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
)

// Spawn is not possible here.
func Spawn(*exec.Cmd) (wait func() error, err error) { return nil, ErrUnsupported }

// Spawned is not possible here.
func Spawned() error { return ErrUnsupported }

// Settle is not possible here.
func Settle(hosts, resolv string) error { return ErrUnsupported }

// Enter is not possible here.
func Enter() []string { return nil }

// A Lab is not possible here: New makes none.
type Lab struct{}

// New is not possible here.
func New() (*Lab, error) { return nil, ErrUnsupported }

// Datacentre is not possible here.
func (*Lab) Datacentre() *Namespace { return nil }

// Home is not possible here.
func (*Lab) Home() *Namespace { return nil }

// AddSegment is not possible here.
func (*Lab) AddSegment(string, ...netip.Prefix) error { return ErrUnsupported }

// AddRemote is not possible here.
func (*Lab) AddRemote(netip.Addr) error { return ErrUnsupported }

// Route is not possible here.
func (*Lab) Route() error { return ErrUnsupported }

// ListenSegment is not possible here.
func (*Lab) ListenSegment(segment string, port int) (net.PacketConn, error) {
	return nil, ErrUnsupported
}

// Connect is not possible here.
func (*Lab) Connect(segment, ifname string, addrs []netip.Prefix, gateway netip.Addr) error {
	return ErrUnsupported
}

// AddMachine is not possible here.
func (*Lab) AddMachine(segment string, mac net.HardwareAddr) (*Port, error) {
	return nil, ErrUnsupported
}

// Close has nothing to close.
func (*Lab) Close() error { return nil }

// A Namespace is not possible here.
type Namespace struct{}

// Do is not possible here.
func (*Namespace) Do(func() error) error { return ErrUnsupported }

// Listen is not possible here.
func (*Namespace) Listen(network, address string) (net.Listener, error) { return nil, ErrUnsupported }

// ListenPacket is not possible here.
func (*Namespace) ListenPacket(network, address string) (net.PacketConn, error) {
	return nil, ErrUnsupported
}

// Dial is not possible here.
func (*Namespace) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return nil, ErrUnsupported
}

// Listening is not possible here.
func (*Namespace) Listening() ([]Socket, error) { return nil, ErrUnsupported }

// Close has nothing to close.
func (*Namespace) Close() error { return nil }

// A Port is not possible here.
type Port struct{ *Namespace }

// Up is not possible here.
func (*Port) Up() error { return ErrUnsupported }

// Down is not possible here.
func (*Port) Down() error { return ErrUnsupported }

// Configure is not possible here.
func (*Port) Configure([]netip.Prefix, netip.Addr, int) error { return ErrUnsupported }

// Broadcast is not possible here.
func (*Port) Broadcast(port int) (net.PacketConn, error) { return nil, ErrUnsupported }

// AddTap is not possible here.
func (*Lab) AddTap(string) (*Tap, error) { return nil, ErrUnsupported }

// CanTap says so.
func CanTap() error { return ErrUnsupported }

// A Tap is not possible here.
type Tap struct{}

// File is not possible here.
func (*Tap) File() *os.File { return nil }

// Down is not possible here.
func (*Tap) Down() error { return ErrUnsupported }

// Close has nothing to close.
func (*Tap) Close() error { return nil }

// A Socket is not possible here.
type Socket struct {
	Network string
	Address netip.AddrPort
}

func (s Socket) String() string { return s.Network + " " + s.Address.String() }

// A Process is not possible here.
type Process struct {
	PID     int
	Command string
}

// Processes is not possible here.
func Processes() ([]Process, error) { return nil, ErrUnsupported }

// Kill is not possible here.
func (Process) Kill() error { return ErrUnsupported }
