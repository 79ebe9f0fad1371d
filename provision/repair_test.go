package provision

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/state"
)

// repairer is a script that can repair.
type repairer struct {
	*script
	asked []provider.Machine
}

func (r *repairer) Repair(_ context.Context, m provider.Machine) ([]string, error) {
	r.asked = append(r.asked, m)
	return []string{"its disk is larger than asked for"}, nil
}

// Only machines that differ are repaired, after they are known and before they
// are booted, and what stays is told.
func TestRepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(t.TempDir(), "c", 3, 1)
		for i, n := range s.cluster.Nodes {
			m := s.wantMachine(n, s.mark())
			m.ID, m.Place, m.Power = []string{"20000", "20001", "20002"}[i], "pve", provider.PowerOff
			s.script.machines[n.Name] = m
		}
		adrift, smaller := s.script.machines["control-1"], s.script.machines["control-2"]
		adrift.Adrift, smaller.Memory = []string{"the CD is out"}, 4096
		s.script.machines["control-1"], s.script.machines["control-2"] = adrift, smaller
		if err := s.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.identify(); err != nil {
			t.Fatal(err)
		}
		if err := s.journal.Append(state.Record{Kind: state.Chose, Image: &state.Image{Name: "x.iso", Ref: "local:iso/x.iso"}}); err != nil {
			t.Fatal(err)
		}
		if err := s.journal.Append(state.Record{Kind: state.Ejected, Node: "control-2"}); err != nil {
			t.Fatal(err)
		}
		if got := names(s.steps()); slices.Contains(got, "repair control-0") || slices.Contains(got, "repair control-1") {
			t.Errorf("a provider that repairs nothing is asked to: %v", got)
		}
		mender := &repairer{script: s.script}
		s.Project.provider = mender
		steps := s.steps()
		boot := steps[slices.Index(names(steps), "boot control-1")]
		if got := names(steps); slices.Contains(got, "repair control-0") || !slices.Contains(boot.Needs, "repair control-1") {
			t.Errorf("steps %v, boot needs %v", got, boot.Needs)
		}
		for _, n := range s.cluster.Nodes[1:] {
			if err := s.repair(n)(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		want := s.wantMachine(s.cluster.Nodes[1], s.mark())
		want.ID, want.Place, want.Media = "20001", "pve", "local:iso/x.iso"
		last := s.wantMachine(s.cluster.Nodes[2], s.mark())
		last.ID, last.Place = "20002", "pve"
		if diff := cmp.Diff([]provider.Machine{want, last}, mender.asked); diff != "" {
			t.Errorf("asked for (-want +got):\n%s", diff)
		}
		if e := s.log.seen[0]; e.Kind != event.Warning || e.Message != "control-1.c.lab.test stays as it is: its disk is larger than asked for" {
			t.Errorf("told %+v", e)
		}
	})
}
