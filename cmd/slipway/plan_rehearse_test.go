//go:build rehearse

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/plan"
)

// A plan file is carried out as it is, also in two goes, and is stale when
// spec or world have moved.
func TestRehearsePlanFile(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	spec := variant(t, `cluster "mycluster"`, "variable \"workers\" {\n  default = 1\n}\n\ncluster \"mycluster\"",
		"count     = 2", "count     = var.workers")
	kept := filepath.Join(t.TempDir(), "plan.json")
	w.exits(t, 2, "plan", "-f", spec, "--var", "workers=2", "--out", kept, "--detailed-exitcode")
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	file, err := provision.ReadPlanFile(kept)
	if err != nil || file.Plan.Count(plan.Create) != 9 || !slices.Equal(file.Inputs.Files, []string{spec}) {
		t.Fatalf("%+v, %v", file.Inputs, err)
	}
	t.Run("the spec has moved", func(t *testing.T) { w.staleWhenSpecMoves(t, spec, kept) })

	// Killed half way, then again with the same file.
	for _, at := range []string{"register:before-done", "machine worker-0:before-done"} {
		cmd := w.slipway(t, "up", kept, "--progress", "none")
		cmd.Env = append(cmd.Env, "SLIPWAY_CRASH="+at)
		if err := cmd.Run(); err == nil {
			t.Fatalf("up survived %s", at)
		}
	}
	w.must(t, "up", kept)
	w.noneTwice(t, 5)
	if out := w.must(t, "plan", "-f", spec, "--var", "workers=2", "--detailed-exitcode"); !strings.Contains(out, "8 to keep.") {
		t.Errorf("nothing is to do, and yet the plan says:\n%s", out)
	}
	if out := w.must(t, "plan", "-f", spec, "--var", "workers=2", "-o", "name"); out != "" {
		t.Errorf("nothing is to do, and yet: %s", out)
	}

	w.must(t, "down", "--yes", "-f", spec, "--var", "workers=2")
	w.must(t, "plan", "-f", spec, "--var", "workers=2", "--out", kept)
	w.must(t, "up", kept)
	w.must(t, "plan", "-f", spec, "--var", "workers=2", "--out", kept)
	w.must(t, "down", "--yes", "-f", spec, "--var", "workers=2")
	stderr := w.fails(t, 1, nil, "up", kept)
	for _, want := range []string{"stale plan file " + kept + ": the world has changed; services mycluster.lab.test was planned as keep, and is now create",
		"and 4 more", "slipway: hint: look at a new plan: `slipway plan -f " + spec} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, stderr)
		}
	}
	if hosts := w.hosts(t); len(hosts) != 0 {
		t.Errorf("a stale plan made %+v", hosts)
	}
	w.noResidue(t)
}

func (w *testWorld) staleWhenSpecMoves(t *testing.T, spec, kept string) {
	text, err := os.ReadFile(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(spec, text, 0o644)
	smaller := strings.Replace(string(text), `memory    = "16GiB"`, `memory    = "24GiB"`, 1)
	if err := os.WriteFile(spec, []byte(smaller), 0o644); err != nil {
		t.Fatal(err)
	}
	stderr := w.fails(t, 1, nil, "up", kept)
	if !strings.Contains(stderr, "the spec means something else now; machine control-0.mycluster.lab.test is not as it was planned") {
		t.Errorf("stderr does not say what has moved:\n%s", stderr)
	}
	if hosts := w.hosts(t); len(hosts) != 0 {
		t.Errorf("a stale plan made %+v", hosts)
	}
}

// What somebody did behind slipway's back is in the plan, with what `up` does
// about it.
func TestRehearsePlanShowsDrift(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	w.must(t, "up", "--yes", "-f", example)
	fewer := variant(t, "count     = 2", "count     = 1", "192.0.2.204-205", "192.0.2.204")
	bigger := variant(t, `disk      = "250GiB"`, `disk      = "300GiB"`)
	more := variant(t, "count     = 2", "count     = 3", "192.0.2.204-205", "192.0.2.204-206")
	newer := variant(t, `release = "okd-4.20"`, `release = "okd-4.21"`)
	for _, tt := range []struct {
		name, spec string
		code       int
		want       []string
	}{
		{"the spec has a node less", fewer, 2, []string{"?  machine", "`slipway down` removes it with the rest", "A 192.0.2.205 is not in the spec; `up` repairs it"}},
		{"the spec has larger disks", bigger, 0, []string{"disk (GiB) is 250, the spec says 300; `up` does not repair it"}},
		{"the spec has another release", newer, 0, []string{"release is 4.20.", ", the spec says okd-4.21; `up` does not repair it", "use `oc adm upgrade`, or write release = \"okd-4.20\""}},
		{"the spec has a node more", more, 1, []string{"!  machine", "the node is new in the spec of a cluster that is installed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := w.exits(t, tt.code, "plan", "-f", tt.spec, "--detailed-exitcode")
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("the plan lacks %q:\n%s", want, out)
				}
			}
		})
	}
	var p plan.Plan
	if err := json.Unmarshal([]byte(w.must(t, "plan", "-f", example, "--explain", "-o", "json")), &p); err != nil || len(p.Explain) < len(p.Changes) {
		t.Errorf("%d explanations of %d changes, %v", len(p.Explain), len(p.Changes), err)
	}
	w.goneAfterDown(t, example)
}

// exits runs slipway, which must end with the exit code, and returns stdout.
func (w *testWorld) exits(t *testing.T, code int, args ...string) string {
	t.Helper()
	cmd := w.slipway(t, args...)
	out, _ := cmd.Output()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("slipway %s: exit code %d, want %d", strings.Join(args, " "), got, code)
	}
	return string(out)
}
