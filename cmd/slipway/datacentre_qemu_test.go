package main

import (
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/rehearsal"
)

// newLaptop is the datacentre of examples/qemu with something changed.
func newLaptop(t *testing.T, o rehearseFlags, change ...string) (*datacentre, error) {
	t.Helper()
	text, err := os.ReadFile("../../examples/qemu/cluster.hcl")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cluster.hcl")
	if err := os.WriteFile(path, []byte(strings.NewReplacer(change...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{files: []string{path}, stderr: io.Discard}
	r, err := a.read()
	if err != nil {
		t.Fatal(err)
	}
	return newDatacentre(a, "/world", o, []reading{r})
}

var onQEMU = rehearseFlags{speed: 100, machines: machineFlags{kind: qemuMachines}}

func TestRehearsalOfProviderQEMU(t *testing.T) {
	d, err := newLaptop(t, onQEMU)
	if err != nil {
		t.Fatal(err)
	}
	d.config.Machines = &rehearsal.MachinesConfig{}
	d.confine(192, qemu.TCG)
	want := `provider "qemu" "here" {
  dir        = "/world/qemu"
  accel      = "tcg"
  max_cpus   = 1
  max_memory = 192
}
`
	if diff := cmp.Diff(want, d.blocks.String()); diff != "" {
		t.Errorf("override file (-want +got):\n%s", diff)
	}
	said := map[string]int{}
	for _, s := range d.config.Machines.Known {
		said[s.Name] = s.Memory
	}
	if len(said) != 5 || said["control-0.mycluster.lab.test"] != 16384 || len(d.config.Hypervisors) != 0 {
		t.Errorf("machines %v, hypervisors %v", said, d.config.Hypervisors)
	}
}

// This host is in a network that no cluster's is taken for.
func TestRehearsalIsElsewhere(t *testing.T) {
	for cidr, want := range map[string]string{"192.0.2.": "203.0.113.2", "203.0.113.": "192.0.2.2"} {
		d, err := newLaptop(t, onQEMU, "192.0.2.", cidr)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.config.Services; len(got) != 1 || got[0] != netip.MustParseAddr(want) {
			t.Errorf("beside %s0/24: %v, want %s", cidr, got, want)
		}
	}
}

func TestRehearsalOfProviderQEMURefuses(t *testing.T) {
	simulated, faulty := onQEMU, onQEMU
	simulated.machines.kind, faulty.faults = simulatedMachines, []string{"lost-reply"}
	for _, tt := range []struct {
		name               string
		flags              rehearseFlags
		change, want, hint string
	}{
		{"simulated machines", simulated, "", `mycluster.lab.test: machines of provider "qemu" are real in a rehearsal too`, "add --machines qemu"},
		{"a fault", faulty, "", "no hypervisor is simulated for --fault to strike", `leave --fault out, or rehearse a spec of provider "proxmox"`},
		{"a bridge", onQEMU, `network = "bridge"`, `mycluster.lab.test: a bridge of this host is not rehearsed`, `rehearse the spec with network = "private"`},
	} {
		_, err := newLaptop(t, tt.flags, `dir = "machines"`, tt.change)
		if err == nil || err.Error() != tt.want || hint.Of(err) != tt.hint {
			t.Errorf("%s: %v (%s)", tt.name, err, hint.Of(err))
		}
	}
}
