package proxmox

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Hardware is how the virtual machines of a provider are built, beyond what
// a node asks for.
type Hardware struct {
	UEFI    bool   // OVMF with its variables on a disk; else SeaBIOS
	TPM     bool   // a TPM 2.0 with its state on a disk
	CPUType string // QEMU's name of the model
	NUMA    bool   // show the guest a NUMA node for each socket
}

const defaultCPUType = "host" // the default of PVE is older than RHEL 9 runs on

// params are the options of a create that follow from h. The variables of
// OVMF come without keys of Microsoft: with them Secure Boot is on, and it
// would be one more thing that may refuse the installer's image.
func (h Hardware) params(s Storage) map[string]any {
	params := map[string]any{"cpu": h.CPUType, "numa": h.NUMA}
	if h.UEFI {
		params["bios"] = "ovmf"
		params["efidisk0"] = s.Disk + ":1,efitype=4m,pre-enrolled-keys=0" + s.format()
	}
	if h.TPM { // always raw, whatever the format of other disks
		params["tpmstate0"] = s.Disk + ":1,version=v2.0"
	}
	return params
}

// disk is a new disk of so many GiB. Its format is the storage's own unless
// one was asked for: raw on LVM, ZFS and RBD, which know no other.
func (s Storage) disk(gib int) string {
	return fmt.Sprintf("%s:%d,discard=on,iothread=1,ssd=1", s.Disk, gib) + s.format()
}

func (s Storage) format() string {
	if s.Format == "" {
		return ""
	}
	return ",format=" + s.Format
}

func (r rawConfig) firmware(cfg *Config) *hcl.Diagnostic {
	cfg.Hardware.TPM, cfg.Hardware.NUMA = r.TPM, r.NUMA
	switch r.Firmware {
	case "", "bios":
	case "uefi":
		cfg.Hardware.UEFI = true
	default:
		return wrong(r.FirmwareRange, "Invalid firmware", "%q is neither bios nor uefi.", r.Firmware)
	}
	return nil
}

// cpuTypeShape is the format of CPU models (pve-vm-cpu-conf).
var cpuTypeShape = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// tooOld are models below x86-64-v2, on which RHEL 9 and what is built of it
// do not start.
var tooOld = map[string]bool{"kvm64": true, "qemu64": true, "kvm32": true, "qemu32": true, "486": true, "pentium": true}

func (r rawConfig) cpuType(cfg *Config) *hcl.Diagnostic {
	const summary = "Invalid CPU type"
	cfg.Hardware.CPUType = defaultCPUType
	switch {
	case r.CPUType == "":
		return nil
	case tooOld[strings.ToLower(r.CPUType)]:
		return wrong(r.CPUTypeRange, summary, "%q has not the instructions of x86-64-v2 that RHEL CoreOS needs. Write host, or x86-64-v2-AES, x86-64-v3 where machines move between unlike nodes.", r.CPUType)
	case !cpuTypeShape.MatchString(r.CPUType):
		return wrong(r.CPUTypeRange, summary, "%q is not the name of a CPU type. Write one as the web interface lists it, such as x86-64-v3.", r.CPUType)
	}
	cfg.Hardware.CPUType = r.CPUType
	return nil
}

// ha is asked for, and refused with the reason.
func (r rawConfig) ha(*Config) *hcl.Diagnostic {
	if !given(r.HA) {
		return nil
	}
	return wrong(r.HARange, "HA is not offered",
		"Making a resource of HA needs Sys.Console on /, which lets a token into every node, and a node of a cluster that HA restarts elsewhere comes back while its cluster has already replaced it. Add machines by hand when they are Ready: ha-manager add vm:VMID. slipway follows machines that HA moves, and `down` takes them out of HA.")
}

func (r rawConfig) hugePages(*Config) *hcl.Diagnostic {
	if !given(r.HugePages) {
		return nil
	}
	return wrong(r.HugePagesRange, "Huge pages are not offered",
		"Proxmox VE lets only root@pam itself set hugepages, no token. Set them on the node when the machine is off: qm set VMID --hugepages 1024 --numa 1.")
}

func given(v cty.Value) bool { return v != cty.NilVal && !v.IsNull() }
