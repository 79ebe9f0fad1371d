package main

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/qemu"
	provider "github.com/slipway-project/slipway/provision/provider/qemu"
	"github.com/slipway-project/slipway/provision/spec"
	"github.com/slipway-project/slipway/rehearsal"
	"github.com/slipway-project/slipway/rehearsal/guest"
)

// A laptop is this host for clusters of provider qemu: it makes their machines,
// in networks of their own, and is itself somewhere else.
type laptop struct {
	blocks map[string]provider.Config // by label
	known  map[uuid.UUID]guest.Spec
	apart  []netip.Prefix // networks of clusters
}

// addLaptop notes the machines of a cluster of provider qemu.
func (d *datacentre) addLaptop(a *app, r reading, c spec.Cluster) error {
	if d.machines.kind != qemuMachines {
		return usage(hint.With(fmt.Errorf("%s: machines of provider \"qemu\" are real in a rehearsal too", c.FullName()), "add --machines qemu"))
	}
	cfg, diags := provider.Decode(c.Provider.Body, c.Provider.Context)
	if err := a.diagnose(r, diags); err != nil {
		return err
	}
	if cfg.Network != provider.NetworkPrivate {
		return usage(hint.With(fmt.Errorf("%s: a bridge of this host is not rehearsed", c.FullName()), `rehearse the spec with network = "private"`))
	}
	d.laptop.blocks[c.Provider.Label] = cfg
	for _, n := range c.Nodes {
		d.laptop.known[n.UUID] = guest.Spec{Name: n.Full, CPUs: n.CPUs, Memory: n.Memory, Disk: n.Disk, Boot: []string{"disk", "cd"}}
		d.laptop.apart = append(d.laptop.apart, n.Network.CIDR)
	}
	return nil
}

// settleLaptop gives this host a network of its own when no cluster's services
// have it in one.
func (d *datacentre) settleLaptop() {
	if len(d.config.Services) > 0 {
		return
	}
	i := slices.IndexFunc(homes, func(p netip.Prefix) bool { return !slices.ContainsFunc(d.laptop.apart, p.Overlaps) })
	lan := homes[max(0, i)] // they are apart anyhow
	d.config.Networks = append(d.config.Networks, rehearsal.NetworkConfig{CIDR: lan, Gateway: lan.Addr().Next(), Bridge: "lan"})
	d.config.Services = append(d.config.Services, lan.Addr().Next().Next())
	d.replace("this host", "a network namespace that has "+d.config.Services[0].String())
}

// homes are networks that this host may be in (RFC 5737, RFC 2544).
var homes = []netip.Prefix{
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.1.0/24"),
}

// machinesDir is where provider qemu keeps its machines in a rehearsal.
func (d *datacentre) machinesDir() string { return filepath.Join(d.config.Dir, "qemu") }

// confine has the machines of provider qemu be as small as all others, and
// keeps them with the world.
func (d *datacentre) confine(memory int, accel qemu.Accel) {
	d.config.Machines.Known = d.laptop.known
	for _, label := range slices.Sorted(maps.Keys(d.laptop.blocks)) {
		most := memory
		if d.laptop.blocks[label].UEFI {
			most = max(most, uefiMemory)
		}
		fmt.Fprintf(&d.blocks, "provider \"qemu\" %q {\n  dir        = %q\n  accel      = %q\n  max_cpus   = 1\n  max_memory = %d\n}\n",
			label, d.machinesDir(), accel, most)
		d.replace("directory of QEMU "+label, d.machinesDir())
	}
}
