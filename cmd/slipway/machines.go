package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/rehearsal"
	"github.com/slipway-project/slipway/rehearsal/image"
)

// Bounds of --memory in MiB: with less the kernel finds no room to unpack its
// first root file system, and a rehearsal needs no more.
const (
	leastMemory   = 160
	defaultMemory = 192
	mostMemory    = 65536
	uefiMemory    = 256 // what OVMF and GRUB leave too little of, when it is less
)

// realPace is the most that slipway hurries where machines are real: they boot
// no faster than they do, and its budgets must last for it.
const realPace = 15

// The kinds of machines in a rehearsal.
const (
	simulatedMachines = "simulated"
	qemuMachines      = "qemu"
)

// machineFlags choose what the machines of a rehearsal are.
type machineFlags struct {
	kind   string
	memory int
}

func (m *machineFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&m.kind, "machines", simulatedMachines, "machines are `KIND`: simulated, or qemu for virtual ones that boot a real kernel")
	flags.IntVar(&m.memory, "memory", defaultMemory, "`MiB` that each machine of qemu really has")
}

func (m machineFlags) check() error {
	switch {
	case m.kind != simulatedMachines && m.kind != qemuMachines:
		return fmt.Errorf("--machines %q is not simulated or qemu", m.kind)
	case m.memory < leastMemory || m.memory > mostMemory:
		return fmt.Errorf("--memory %d is not between %d and %d", m.memory, leastMemory, mostMemory)
	}
	return nil
}

// prepare completes d for virtual machines, and fails where they cannot run.
func (m machineFlags) prepare(ctx context.Context, exe string, d *datacentre) error {
	if m.kind == simulatedMachines {
		d.replace("pace", fmt.Sprintf("%v: simulated hardware is that much faster, and so is our polling", float64(d.config.Speed)))
		return nil
	}
	if err := canRunMachines(exe); err != nil {
		return err
	}
	accel, why, err := qemu.Probe(ctx)
	if err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return hint.With(fmt.Errorf("kernel packages: %w", err), "set XDG_CACHE_HOME to a directory for them")
	}
	cache = filepath.Join(cache, "slipway")
	base, err := image.Build(ctx, exe, cache, filepath.Join(d.config.Dir, "image"))
	if err != nil {
		return err
	}
	d.config.Machines = &rehearsal.MachinesConfig{Image: base.Dir, Memory: m.memory, Accel: accel}
	if err := d.prepareFirmware(ctx, cache); err != nil {
		return err
	}
	d.confine(m.memory, accel)
	d.config.Pace = min(d.config.Speed, realPace)
	d.replace("machines", describeMachines(*d.config.Machines, why))
	d.replace("pace", fmt.Sprintf("%v: our polling is that much faster, and what is simulated %v times", float64(d.config.Pace), float64(d.config.Speed)))
	return nil
}

// prepareFirmware brings UEFI where a spec asks for it.
func (d *datacentre) prepareFirmware(ctx context.Context, cache string) (err error) {
	if d.uefi {
		d.config.Machines.Memory = max(d.config.Machines.Memory, uefiMemory)
		d.config.Machines.Firmware, err = image.UEFI(ctx, cache)
	}
	return err
}

func describeMachines(m rehearsal.MachinesConfig, why string) string {
	text := fmt.Sprintf("virtual ones of %d MiB under %s; they say they have what the spec asks for", m.Memory, strings.ToUpper(string(m.Accel)))
	if why != "" {
		text += " (" + why + ")"
	}
	return text
}

// canRunMachines looks for all that virtual machines need.
func canRunMachines(exe string) error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return hint.With(errors.New("virtual machines run slipway itself, and need the one for linux/amd64"), "rehearse with simulated machines, or on such a machine")
	}
	packages := map[string]string{qemu.Program: "qemu-system-x86", "xorriso": "xorriso", "apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg"}
	var missing []string
	for program, from := range packages {
		if _, err := exec.LookPath(program); err != nil && !slices.Contains(missing, from) {
			missing = append(missing, from)
		}
	}
	if slices.Sort(missing); len(missing) > 0 {
		return hint.With(errors.New("virtual machines need programs that are missing: "+strings.Join(missing, ", ")),
			"install them with 'sudo apt-get install "+strings.Join(missing, " ")+"', or rehearse with simulated machines")
	}
	if err := static(exe); err != nil {
		return err
	}
	return netlab.CanTap()
}

// static refuses a program that needs libraries, of which a guest has none.
func static(exe string) error {
	f, err := elf.Open(exe)
	if err != nil {
		return err
	}
	defer f.Close()
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return hint.With(errors.New("virtual machines run slipway itself, and this one needs libraries"), "build it with 'make build', or with CGO_ENABLED=0")
	}
	return nil
}
