package provision

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/plan"
	"github.com/slipway-project/slipway/provision/state"
)

// planFile is a plan of n machines, as `slipway plan --out` keeps it.
func planFile(n int) PlanFile {
	f := PlanFile{Version: PlanFileVersion, Slipway: "devel", Written: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Inputs: Inputs{Files: []string{"/srv/lab.hcl"}, Override: "/srv/test.hcl", Cluster: "mycluster",
			Vars: []string{"workers=2", `motto=it's ours`}, VarFiles: []string{"/srv/lab.vars"}},
		Plan: plan.Plan{Version: plan.Version, Cluster: "mycluster.lab.test", Spec: "sha256:1", World: "sha256:2"}}
	for i := range n {
		f.Plan.Changes = append(f.Plan.Changes, plan.Change{Action: plan.Create, Kind: plan.Machine, Name: fmt.Sprintf("worker-%d", i)})
	}
	f.Plan.Frontends = []plan.Frontend{{Name: "api", Bind: netip.MustParseAddrPort("192.0.2.210:6443"), Nodes: []string{"control-0"}}}
	return f
}

func TestPlanFileSurvivesTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	want := planFile(3)
	if err := WritePlanFile(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadPlanFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestPlanFileIsCarriedOutAsItIs(t *testing.T) {
	f := planFile(9)
	if err := f.Confirm("plan.json")(planFile(9).Plan); err != nil {
		t.Errorf("the same plan: %v", err)
	}
	moved := planFile(9).Plan
	moved.World = "sha256:3"
	for i := range moved.Changes {
		moved.Changes[i].Action = plan.Adopt
	}
	err := f.Confirm("plan.json")(moved)
	var stale *StalePlanError
	if !errors.As(err, &stale) || len(stale.Moved) != 10 || ExitCode(err) != ExitOther {
		t.Fatalf("%v, exit code %d; want a stale plan, 1", err, ExitCode(err))
	}
	const line = "machine worker-%d was planned as create, and is now adopt; "
	want := "stale plan file plan.json: the world has changed; "
	for i := range 5 {
		want += fmt.Sprintf(line, i)
	}
	if diff := cmp.Diff(want+"and 4 more", err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	const next = "look at a new plan: `slipway plan -f /srv/lab.hcl --override /srv/test.hcl --cluster mycluster --var workers=2 --var 'motto=it'\\''s ours' --var-file /srv/lab.vars --out plan.json`"
	if hint.Of(err) != next {
		t.Errorf("hint %q, want %q", hint.Of(err), next)
	}
}

// What the journal says of machines: chosen is not made, and undone is gone.
func TestWasMade(t *testing.T) {
	steps := func(machine, boot state.Kind) state.Document {
		return state.Document{Steps: map[string]state.Step{"machine worker-0": {Kind: machine}, "boot worker-0": {Kind: boot}}}
	}
	ready := state.Document{Ready: time.Unix(1, 0)}
	for _, tt := range []struct {
		name string
		doc  state.Document
		want bool
	}{
		{"its identity was chosen", state.Document{}, false},
		{"its creation was begun", steps(state.Intent, ""), false},
		{"it was created", steps(state.Done, ""), true},
		{"it was adopted and booted", steps("", state.Done), true},
		{"its cluster was Ready", ready, true},
		{"it was removed by down", steps(state.Undone, state.Done), false},
	} {
		if got := wasMade(tt.doc, "worker-0"); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func FuzzPlanFile(f *testing.F) {
	f.Add(`{"version": 1, "inputs": {"files": ["/cluster.hcl"]}, "plan": {"version": 1, "cluster": "c.lab.test", "changes": [{"action": "keep", "kind": "machine", "name": "a", "node": {"id": "1"}}]}}`)
	f.Add(`{"version": 1} {}`)
	f.Add(`{"version": 2}`)
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parsePlanFile([]byte(text))
		if err != nil {
			return
		}
		if err := file.Confirm("x")(file.Plan); err != nil && !strings.Contains(err.Error(), "not as it was planned") {
			t.Errorf("a plan has moved away from itself: %v", err)
		}
	})
}
