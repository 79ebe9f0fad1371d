package qemu

import (
	"fmt"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"

	"github.com/slipway-project/slipway/internal/qemu"
)

// A Network is what the network devices of machines are plugged into.
type Network string

// The kinds of network.
const (
	NetworkBridge  Network = "bridge"  // a bridge of this host, named by the spec's networks
	NetworkPrivate Network = "private" // one that nobody else sees, made by us without any rights
)

// networkUser is QEMU's own network, where no machine reaches another: enough
// for tests, for which no rights are needed.
const networkUser Network = "user"

// A Config is a provider block of type qemu, checked.
type Config struct {
	Dir     string     // of disks, images and sockets; "": in the user's data directory
	UEFI    bool       // else BIOS
	Accel   qemu.Accel // "": KVM where it works, else TCG
	Network Network
	Limits  Limits
}

// Limits are the most that a machine really has, whatever the spec says: for
// trials with guests that need less. Zero: what the spec says.
type Limits struct {
	CPUs   int `json:"cpus,omitempty"`
	Memory int `json:"memory,omitempty"` // MiB
}

// of are the processors and the memory of a machine that asks for so much.
func (l Limits) of(cpus, memory int) (int, int) {
	if l.CPUs > 0 {
		cpus = min(cpus, l.CPUs)
	}
	if l.Memory > 0 {
		memory = min(memory, l.Memory)
	}
	return cpus, memory
}

type rawConfig struct {
	Dir           string    `hcl:"dir,optional"`
	DirRange      hcl.Range `hcl:"dir,attr_value_range"`
	Firmware      string    `hcl:"firmware,optional"`
	FirmwareRange hcl.Range `hcl:"firmware,attr_value_range"`
	Accel         string    `hcl:"accel,optional"`
	AccelRange    hcl.Range `hcl:"accel,attr_value_range"`
	Network       string    `hcl:"network,optional"`
	NetworkRange  hcl.Range `hcl:"network,attr_value_range"`
	MaxCPUs       int       `hcl:"max_cpus,optional"`
	CPUsRange     hcl.Range `hcl:"max_cpus,attr_value_range"`
	MaxMemory     int       `hcl:"max_memory,optional"`
	MemoryRange   hcl.Range `hcl:"max_memory,attr_value_range"`
}

// Decode reads the body of a provider block. It looks at nothing else, and
// gathers every problem with its place.
func Decode(body hcl.Body, ctx *hcl.EvalContext) (Config, hcl.Diagnostics) {
	var raw rawConfig
	diags := gohcl.DecodeBody(body, ctx, &raw)
	cfg := Config{Dir: raw.dir()}
	for _, check := range []func(*Config) *hcl.Diagnostic{raw.firmware, raw.accel, raw.network, raw.cpus, raw.memory} {
		if d := check(&cfg); d != nil {
			diags = append(diags, d)
		}
	}
	return cfg, diags
}

// dir is relative to the file it is written in.
func (r rawConfig) dir() string {
	if r.Dir == "" || filepath.IsAbs(r.Dir) {
		return r.Dir
	}
	return filepath.Join(filepath.Dir(r.DirRange.Filename), r.Dir)
}

func wrong(subject hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: &subject,
	}
}

func (r rawConfig) firmware(cfg *Config) *hcl.Diagnostic {
	switch r.Firmware {
	case "", "bios":
	case "uefi":
		cfg.UEFI = true
	default:
		return wrong(r.FirmwareRange, "Invalid firmware", "%q is neither bios nor uefi.", r.Firmware)
	}
	return nil
}

func (r rawConfig) accel(cfg *Config) *hcl.Diagnostic {
	switch accel := qemu.Accel(r.Accel); accel {
	case "", "auto":
	case qemu.KVM, qemu.TCG:
		cfg.Accel = accel
	default:
		return wrong(r.AccelRange, "Invalid accelerator", "%q is not an accelerator. Write kvm, tcg, which runs anywhere and ten times slower, or auto: kvm where a guest really runs under it.", r.Accel)
	}
	return nil
}

func (r rawConfig) network(cfg *Config) *hcl.Diagnostic {
	switch cfg.Network = Network(r.Network); cfg.Network {
	case "":
		cfg.Network = NetworkPrivate
	case NetworkBridge, NetworkPrivate:
	case networkUser:
		return wrong(r.NetworkRange, "Network is not offered", "In QEMU's user network no machine reaches another, and nothing here reaches a machine by its address. Write private, or bridge.")
	default:
		return wrong(r.NetworkRange, "Invalid network", "%q is not a kind of network. Write private: a network of the cluster's own, made without any rights; or bridge: machines are on the bridge of this host that their network block names.", r.Network)
	}
	return nil
}

func (r rawConfig) cpus(cfg *Config) *hcl.Diagnostic {
	if cfg.Limits.CPUs = r.MaxCPUs; r.MaxCPUs < 0 {
		return wrong(r.CPUsRange, "Invalid limit", "%d is no number of vCPUs. Write 1 or more, or leave it out.", r.MaxCPUs)
	}
	return nil
}

func (r rawConfig) memory(cfg *Config) *hcl.Diagnostic {
	if cfg.Limits.Memory = r.MaxMemory; r.MaxMemory < 0 {
		return wrong(r.MemoryRange, "Invalid limit", "%d is no amount of memory. Write a number of MiB, or leave it out.", r.MaxMemory)
	}
	return nil
}
