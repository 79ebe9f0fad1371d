package qemu

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/provider"
)

func TestRepair(t *testing.T) {
	needQEMU(t)
	p := opened(t, directoryOf(t))
	supervised(t, p, 0)
	m := made(t, p, 0, halts)
	ref, err := p.Put(within(t), written(t, discovery(1<<20)), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := m
	want.CPUs, want.Memory, want.Media, want.Tags, want.Disks = 2, 48, ref, []string{"mycluster"}, []int{5}

	powered(t, p, m)
	left, err := p.Repair(within(t), want)
	wantLeft := []string{"it has 1 vCPUs, not 2", "it has 32 MiB of memory, not 48", "its disks have [1] GiB, not [1 5]"}
	if diff := cmp.Diff(wantLeft, left); err != nil || diff != "" {
		t.Errorf("while it is on: %v (-want +got)\n%s", err, diff)
	}
	if got := onlyFound(t, p); got.Media != ref || !slices.Equal(got.Tags, want.Tags) || got.Power != provider.PowerOn {
		t.Errorf("it has %+v", got)
	}

	if err := p.PowerOff(within(t), m); err != nil {
		t.Fatal(err)
	}
	left, err = p.Repair(within(t), want)
	if diff := cmp.Diff(wantLeft[2:], left); err != nil || diff != "" {
		t.Errorf("while it is off: %v (-want +got)\n%s", err, diff)
	}
	powered(t, p, want)

	stolen := want
	stolen.Mark.ID = "another"
	if _, err := p.Repair(within(t), stolen); err == nil {
		t.Error("a machine of another cluster was changed")
	}
}
