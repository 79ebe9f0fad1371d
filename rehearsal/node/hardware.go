package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/pace"
)

// Hardware is what a simulated host is built of.
type Hardware struct {
	Name     string // for logs only; the host itself does not know it
	UUID     uuid.UUID
	Serial   string // SMBIOS baseboard serial, mostly empty
	NICs     []NIC
	CPUs     int
	Memory   int      // MiB
	Disk     *Disk    // nil: none
	DiskSize int      // GiB; 0: 250
	Boot     []string // "disk", "cd"
	Speed    pace.Pace
	// Reset ends and restarts a real machine that runs the host in a process of
	// its own, and nothing but it; nil: the machine is simulated too.
	Reset func()
}

// A NIC is a network device with its cable.
type NIC struct {
	Name string // enp6s18
	MAC  net.HardwareAddr
	Link Link
}

// InterfaceName is what systemd calls the nth virtio NIC of a q35 machine, the
// first of which is in slot 18 of its sixth bus.
func InterfaceName(n int) string { return fmt.Sprintf("enp6s%d", 18+n) }

// A Link is the host's end of a cable: a network namespace of its own in a
// World, loopback addresses in unit tests.
type Link interface {
	// Configure gives the interface its addresses and default gateway,
	// replacing what was there; a zero gateway means none.
	Configure(addrs []netip.Prefix, gateway netip.Addr, mtu int) error
	// Listen and Dial open sockets in the host's network.
	Listen(network, address string) (net.Listener, error)
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	// Broadcast opens a socket on a UDP port that reaches all of the wire, and
	// does so before the interface has an address.
	Broadcast(port int) (net.PacketConn, error)
	// Up and Down plug and pull the cable. A host that is down does not
	// refuse: its packets vanish.
	Up() error
	Down() error
}
