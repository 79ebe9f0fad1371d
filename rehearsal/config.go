package rehearsal

import (
	"net/netip"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/rehearsal/guest"
)

// A Config describes a World. It travels as JSON to the process that serves it.
type Config struct {
	// Dir is the World's directory: it exists, is empty, and its path is short
	// enough for a unix socket in it (100 bytes). The caller removes it.
	Dir   string    `json:"dir"`
	Speed pace.Pace `json:"speed"`
	// Pace is what slipway inside is told; 0: Speed.
	Pace pace.Pace `json:"pace,omitempty"`
	// Machines puts virtual machines in the place of simulated ones; nil: none.
	Machines    *MachinesConfig    `json:"machines,omitempty"`
	Hypervisors []HypervisorConfig `json:"hypervisors"`
	Installers  []InstallerConfig  `json:"installers"`
	Networks    []NetworkConfig    `json:"networks"`
	// Services are the addresses of the host that slipway runs on; each lies
	// in one of Networks.
	Services []netip.Addr `json:"services"`
	// Faults are what goes wrong, as [pve.ParseFault] reads them, from when the
	// World is ready; see [World.Inject].
	Faults []string `json:"faults,omitempty"`
	// Env is merged into the environment that Ready announces.
	Env map[string]string `json:"env,omitempty"`
}

// MachinesConfig says how virtual machines run.
type MachinesConfig struct {
	Image  string     `json:"image"`  // directory of an [image.Base] with slipway in it
	Memory int        `json:"memory"` // MiB that each really has
	Accel  qemu.Accel `json:"accel"`
	// Firmware is for machines that boot by UEFI, with the template of their
	// variables; zero: none does.
	Firmware qemu.Firmware `json:"firmware,omitzero"`
	// Known are machines that no hypervisor of the World runs, but that boot its
	// images: what each is meant to have, by its UUID.
	Known map[uuid.UUID]guest.Spec `json:"known,omitempty"`
}

// pace is what slipway inside is told.
func (c Config) pace() pace.Pace {
	if c.Pace == 0 {
		return c.Speed
	}
	return c.Pace
}

// A HypervisorConfig is a Proxmox VE cluster.
type HypervisorConfig struct {
	URL         string   `json:"url"`                    // https; port 8006 when none is given
	Nodes       []string `json:"nodes,omitempty"`        // default "pve"
	DiskStorage string   `json:"disk_storage,omitempty"` // default "local-lvm"
	ISOStorage  string   `json:"iso_storage,omitempty"`  // default "local"
	Pool        string   `json:"pool,omitempty"`         // the token is confined to it
	Bridges     []string `json:"bridges,omitempty"`      // besides those of Networks
	Room        int64    `json:"room,omitempty"`         // bytes of memory that its machines will need
}

// An InstallerConfig is an assisted service.
type InstallerConfig struct {
	URL   string `json:"url"`             // http or https
	Token string `json:"token,omitempty"` // of the user; empty: no authentication
	// Releases are versions that it offers besides its own few.
	Releases []string `json:"releases,omitempty"`
}

// A NetworkConfig is a network with its router, which also answers DNS and
// DHCP, and knows the endpoints by name, but nothing of any cluster.
type NetworkConfig struct {
	CIDR    netip.Prefix `json:"cidr"`
	Gateway netip.Addr   `json:"gateway,omitzero"` // none: the World chooses one
	Bridge  string       `json:"bridge,omitempty"` // default "vmbr0"
	VLAN    int          `json:"vlan,omitempty"`   // 0: untagged
	MTU     int          `json:"mtu,omitempty"`    // of the bridge, default 1500
	Static  []netip.Addr `json:"static,omitempty"` // given out by hand: not in the router's DHCP pool
}

// segment names the network's wire: bridges are apart, and so are VLANs.
func (n NetworkConfig) segment() string { return segmentName(n.bridge(), n.VLAN) }

func (n NetworkConfig) bridge() string {
	if n.Bridge == "" {
		return "vmbr0"
	}
	return n.Bridge
}
