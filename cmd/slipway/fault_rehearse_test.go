//go:build rehearse

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/rehearsal"
)

// What goes wrong every day is survived: the cluster becomes Ready, and down
// leaves nothing. Each fault has struck.
func TestRehearseFaults(t *testing.T) {
	t.Parallel()
	args := []string{"rehearse", "-f", example, "-o", "json"}
	for _, fault := range []string{
		"lost-reply,method=POST,path=/nodes/{node}/qemu,times=2",
		"lost-reply,method=POST,path=/nodes/{node}/qemu/{vmid}/status/start,times=1",
		"lost-reply,method=DELETE,path=/nodes/{node}/qemu/{vmid},times=1",
		"status,status=596,method=GET,skip=10,times=2",
		"lock-timeout,storage=local-lvm,times=1",
		"lock-timeout,skip=8,times=1",
		"proxy-restart,method=POST,path=/nodes/{node}/qemu,skip=3,delay=20s",
		"task-warns,times=3",
		"tags-refused",
		"upload-aborted,bytes=1000000,times=1",
	} {
		args = append(args, "--fault", fault)
	}
	report := rehearse(t, exec.Command(slipway(t), args...))
	wantReady(t, report, plannedNodes(t, example)...)
	for _, f := range report.Faults {
		if f.Hits == 0 {
			t.Errorf("%s has never struck", f.Text)
		}
	}
	if len(report.Faults) != 10 {
		t.Errorf("the report has faults %+v", report.Faults)
	}
}

// A certificate that is not the pinned one ends up before anything is made; one
// that changes under way ends it with the fingerprint to compare, and up goes
// on once that is given.
func TestRehearseCertificateRotation(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(slipway(t), "rehearse", "-f", example, "--fault", "certificate-rotation", "--progress", "none")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != provision.ExitPreflight {
		t.Errorf("got %v, want exit %d", err, provision.ExitPreflight)
	}
	for _, want := range []string{"certificate of pve.lan:8006 is not trusted: it has another fingerprint", "fingerprint = \"", "certificate-rotation has struck 1 times"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("%q lacks %q", stderr.String(), want)
		}
	}

	w := openTestWorld(t, example)
	if err := rehearsal.NewControl(w.dir).Inject(t.Context(), "certificate-rotation,method=POST,path=/nodes/{node}/qemu/{vmid}/status/start"); err != nil {
		t.Fatal(err)
	}
	said := w.fails(t, provision.ExitInfrastructure, nil, "up", "--yes", "-f", example)
	_, pin, found := strings.Cut(said, "fingerprint = \"")
	if pin, _, _ = strings.Cut(pin, "\""); !found {
		t.Fatalf("no fingerprint in %s", said)
	}
	for _, verb := range []string{"up", "down"} {
		cmd := w.slipway(t, verb, "--yes", "-f", example)
		cmd.Env = append(cmd.Env, "SLIPWAY_PROXMOX_FINGERPRINT="+pin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", verb, err, out)
		}
	}
	w.noResidue(t)
}

// Values of variables reach the slipway inside, whichever way they are given;
// those of sensitive ones stay outside.
func TestRehearseVariables(t *testing.T) {
	const canary = "Y2FuYXJ5"
	text, err := os.ReadFile(exampleOf("variables"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	spec, values := filepath.Join(dir, "cluster.hcl"), filepath.Join(dir, "values")
	changed := strings.Replace(string(text), `domain  =`, "pull_secret = var.pull\n  domain  =", 1) +
		"\nvariable \"pull\" {\n  sensitive = true\n}\n"
	if err := errors.Join(os.WriteFile(spec, []byte(changed), 0o600), os.WriteFile(values, []byte("first = 60\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLIPWAY_VAR_pull", canary)
	t.Setenv("SLIPWAY_VAR_workers", `{only = {offset = 9}}`)
	report := rehearse(t, exec.Command(slipway(t), "rehearse", "-f", spec, "--var", "name=ci-7", "--var-file", values, "-o", "json"))
	wantReady(t, report, "control-0", "control-1", "control-2", "worker-only")
	if report.Cluster != "team.ci-7.lab.test" || report.Nodes[3].Address != "192.0.2.69" {
		t.Errorf("report %+v", report)
	}
	w := openTestWorld(t, spec)
	if value := w.ready.Env["SLIPWAY_VAR_pull"]; value != fakePullSecret {
		t.Errorf("the sensitive variable is %q inside", value)
	}
	ready, err := json.Marshal(w.ready)
	if err != nil || bytes.Contains(ready, []byte(canary)) {
		t.Errorf("the secret stands in the ready line: %v", err)
	}
	if plan := w.must(t, "plan", "-f", spec); !strings.Contains(plan, "worker-only.team.dev.lab.test") {
		t.Errorf("plan inside: %s", plan)
	}
}
