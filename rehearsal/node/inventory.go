package node

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// What the agent reports of a host: the definitions of the same names in
// assisted-service's swagger.yaml.
type inventory struct {
	Hostname   string      `json:"hostname"`
	Interfaces []iface     `json:"interfaces"`
	Disks      []diskInfo  `json:"disks"`
	CPU        cpuInfo     `json:"cpu"`
	Memory     memoryInfo  `json:"memory"`
	Vendor     vendorInfo  `json:"system_vendor"`
	Boot       bootInfo    `json:"boot"`
	Routes     []routeInfo `json:"routes"`
	TPM        string      `json:"tpm_version"`
}

type iface struct {
	Name    string   `json:"name"`
	MAC     string   `json:"mac_address"`
	MTU     int      `json:"mtu"`
	Carrier bool     `json:"has_carrier"`
	IPv4    []string `json:"ipv4_addresses"`
	IPv6    []string `json:"ipv6_addresses"`
	Flags   []string `json:"flags"`
	Speed   int      `json:"speed_mbps"`
	Type    string   `json:"type"`
}

type diskInfo struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Path        string      `json:"path"`
	ByID        string      `json:"by_id,omitempty"`
	ByPath      string      `json:"by_path,omitempty"`
	DriveType   string      `json:"drive_type"`
	Model       string      `json:"model"`
	Vendor      string      `json:"vendor"`
	Serial      string      `json:"serial,omitempty"`
	Size        int64       `json:"size_bytes"`
	Removable   bool        `json:"removable"`
	Media       bool        `json:"is_installation_media"`
	Eligibility eligibility `json:"installation_eligibility"`
}

type eligibility struct {
	Eligible bool     `json:"eligible"`
	Reasons  []string `json:"not_eligible_reasons,omitempty"`
}

type cpuInfo struct {
	Count        int      `json:"count"`
	Frequency    float64  `json:"frequency"`
	Architecture string   `json:"architecture"`
	Model        string   `json:"model_name"`
	Flags        []string `json:"flags"`
}

type memoryInfo struct {
	Physical int64  `json:"physical_bytes"`
	Usable   int64  `json:"usable_bytes"`
	Method   string `json:"physical_bytes_method"`
}

type vendorInfo struct {
	Product      string `json:"product_name"`
	Manufacturer string `json:"manufacturer"`
	Serial       string `json:"serial_number,omitempty"`
	Virtual      bool   `json:"virtual"`
}

type bootInfo struct {
	Mode   string `json:"current_boot_mode"`
	Secure string `json:"secure_boot_state"`
	Device string `json:"device_type"`
	Kargs  string `json:"command_line"`
}

type routeInfo struct {
	Interface   string `json:"interface"`
	Gateway     string `json:"gateway,omitempty"`
	Destination string `json:"destination"`
	Family      int32  `json:"family"`
	Metric      int32  `json:"metric"`
}

func (s *system) inventory() inventory {
	hw := s.host.hw
	i := inventory{
		Hostname: s.name(), Routes: s.routes(), TPM: "none",
		CPU:    cpuInfo{hw.CPUs, 2400, "x86_64", "QEMU Virtual CPU version 2.5+", []string{"sse4_2", "ssse3", "popcnt"}},
		Memory: memoryInfo{int64(hw.Memory) << 20, int64(hw.Memory-hw.Memory/32) << 20, "dmidecode"},
		Vendor: vendorInfo{"Standard PC (Q35 + ICH9, 2009)", "QEMU", hw.Serial, true},
		Boot:   bootInfo{"bios", "NotSupported", "persistent", "coreos.liveiso=" + volumeID + " ignition.firstboot ignition.platform.id=metal"},
	}
	for _, nic := range hw.NICs {
		i.Interfaces = append(i.Interfaces, s.iface(nic))
	}
	i.Disks = s.host.disks()
	return i
}

func (s *system) iface(nic NIC) iface {
	i := iface{Name: nic.Name, MAC: nic.MAC.String(), MTU: 1500, Carrier: true, IPv4: []string{}, IPv6: []string{},
		Flags: []string{"up", "broadcast", "multicast"}, Speed: -1, Type: "physical"}
	for _, p := range s.net.ports {
		if p.nic.Name != nic.Name {
			continue
		}
		i.MTU = p.effectiveMTU()
		for _, a := range p.addrs {
			if a.Addr().Is4() {
				i.IPv4 = append(i.IPv4, a.String())
			} else {
				i.IPv6 = append(i.IPv6, a.String())
			}
		}
	}
	return i
}

// routes are the kernel's: the networks of the interfaces, then the default.
func (s *system) routes() []routeInfo {
	var list []routeInfo
	for i, p := range s.net.ports {
		metric := int32(100 + i)
		for _, a := range p.addrs {
			list = append(list, routeInfo{p.nic.Name, "", a.Masked().String(), family(a.Addr()), metric})
		}
		if p.gateway.IsValid() {
			list = append(list, routeInfo{p.nic.Name, p.gateway.String(), everywhere(p.gateway), family(p.gateway), metric})
		}
	}
	return list
}

// The agent writes families as Linux does: AF_INET, AF_INET6.
func family(a netip.Addr) int32 {
	if a.Is4() {
		return 2
	}
	return 10
}

func everywhere(a netip.Addr) string {
	if a.Is4() {
		return "0.0.0.0"
	}
	return "::"
}

const gib = 1 << 30

func (h *Host) diskBytes() int64 {
	if h.hw.DiskSize == 0 {
		return 250 * gib
	}
	return int64(h.hw.DiskSize) * gib
}

// bootDevice is the host's only disk, diskID its stable name.
const (
	bootDevice = "/dev/sda"
	diskID     = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi0"
)

// disks are the disk, if there is one, and the CD drive.
func (h *Host) disks() []diskInfo {
	cd := diskInfo{
		ID: "/dev/disk/by-path/pci-0000:00:1f.2-ata-3", ByPath: "/dev/disk/by-path/pci-0000:00:1f.2-ata-3",
		Name: "sr0", Path: "/dev/sr0", DriveType: "ODD", Model: "QEMU_DVD-ROM", Vendor: "QEMU", Removable: true, Media: true,
		Eligibility: eligibility{false, []string{"Disk is removable", "Drive type is ODD, it must be one of HDD, SSD, Multipath, iSCSI, FC, RAID, ECKD, ECKD (ESE), FBA."}},
	}
	if h.hw.Disk == nil {
		return []diskInfo{cd}
	}
	return []diskInfo{{
		ID: diskID, ByID: diskID, ByPath: "/dev/disk/by-path/pci-0000:06:05.0-scsi-0:0:0:0",
		Name: "sda", Path: bootDevice, DriveType: "HDD", Model: "QEMU_HARDDISK", Vendor: "QEMU", Serial: "drive-scsi0",
		Size: h.diskBytes(), Eligibility: eligibility{Eligible: true},
	}, cd}
}

// hostID is the identity that the agent derives from the hardware: the
// baseboard's serial, else the system's UUID, else the lowest MAC.
func (h *Host) hostID() string {
	serial := strings.TrimSpace(h.hw.Serial)
	switch {
	case serial != "" && !slices.Contains(meaningless, strings.ToLower(serial)):
		return hashedID(serial)
	case h.hw.UUID != uuid.Nil:
		return h.hw.UUID.String()
	}
	var macs []string
	for _, nic := range h.hw.NICs {
		macs = append(macs, nic.MAC.String())
	}
	slices.Sort(macs)
	return hashedID(strings.Join(macs[:min(1, len(macs))], ""))
}

// meaningless serials are what vendors leave in the field.
var meaningless = []string{"none", "unknown", "unspecified", "default", "default string", "not specified", "not present", "0", "0123456789"}

func hashedID(text string) string { return uuid.UUID(md5.Sum([]byte(text))).String() }

// diskSpeed is what fio measures: a few milliseconds, another on each host.
func (h *Host) diskSpeed() int {
	id := uuid.MustParse(h.hostID())
	return 2 + bits.OnesCount16(binary.BigEndian.Uint16(id[:]))/4
}

func (s *system) timestamp() string { return fmt.Sprint(time.Now().Unix()) }
