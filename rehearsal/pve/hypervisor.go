package pve

import (
	"net"

	"github.com/google/uuid"
)

// A Hypervisor runs the virtual machines that the API was asked to start.
// The rehearsal's World implements it with simulated hosts.
type Hypervisor interface {
	// PowerOn starts vm. It is called with the configuration as it stands and
	// must return at once.
	PowerOn(vm VM) error
	// PowerOff cuts the power; the disk keeps what is on it.
	PowerOff(vmid int)
	// Media tells a running machine that its CD tray changed; "" is empty.
	Media(vmid int, path string)
	// Destroy forgets the machine and its disk.
	Destroy(vmid int)
}

// A VM is a virtual machine at the moment it is started.
type VM struct {
	ID     int
	Name   string
	UUID   uuid.UUID // smbios1 uuid, lower case
	NICs   []NIC
	CPUs   int
	Memory int      // MiB
	Disk   int      // GiB; 0: none
	Image  string   // name of the image that the disk was imported from, "" when it began empty
	CD     string   // path of the ISO in the tray on this machine, "" when empty
	Boot   []string // boot order resolved to "disk" and "cd"
	UEFI   bool     // else BIOS
}

// A NIC is one network device on a bridge.
type NIC struct {
	MAC    net.HardwareAddr
	Bridge string
	VLAN   int
}
