package provision

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/probe"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
	"github.com/slipway-project/slipway/provision/state"
)

func TestExitCodes(t *testing.T) {
	step := func(name string, err error) error { return &phase.Error{Step: "x", Phase: name, Err: err} }
	wrong := errors.New("wrong")
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"success", nil, 0},
		{"anything else", wrong, 1},
		{"a secret that cannot be read", fmt.Errorf("check: %w", &secret.ReadError{Origin: "file x", Err: wrong}), 3},
		{"a machine", step(phaseMachines, wrong), 4},
		{"services", step(phaseServices, wrong), 4},
		{"no host came back", step(phaseInstall, &bootstrapError{wrong}), 5},
		{"discovery", step(phaseDiscover, wrong), 6},
		{"installation", step(phaseInstall, wrong), 6},
		{"operators", step(phaseJoin, wrong), 7},
		{"interrupted", ErrInterrupted, 8},
		{"interrupted in a step", step(phaseMachines, fmt.Errorf("wait: %w", ErrInterrupted)), 8},
		{"cancelled", context.Canceled, 8},
		{"declined", ErrDeclined, 10},
		{"held", &state.HeldError{Cluster: "c"}, 11},
		{"protected", fmt.Errorf("x is %w", ErrProtected), 10},
		{"preflight", &PreflightError{}, 12},
		{"out of time, and moving", step(phaseInstall, fmt.Errorf("x, and %w", phase.ErrProgressing)), 13},
		{"one of two steps was moving", errors.Join(step(phaseMachines, ErrTimeout), step(phaseMedia, phase.ErrProgressing)), 13},
		{"out of time before any step", fmt.Errorf("look: %w", ErrTimeout), 13},
		{"out of time, and standing still", step(phaseInstall, ErrTimeout), 6},
		{"out of time, and no host came back", step(phaseInstall, &bootstrapError{ErrTimeout}), 5},
		{"a full disk in a step", &DiskError{Err: step(phaseMachines, unix.ENOSPC)}, 4},
		{"a full disk before any step", &DiskError{Err: unix.ENOSPC}, 1},
		{"preflight met a secret that cannot be read", &PreflightError{[]provider.Problem{{What: "x"}, {Err: &secret.ReadError{Err: wrong}}}}, 3},
		{"teardown", &PartialError{Err: step(phaseTeardown, wrong)}, 14},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := ExitCode(test.err); got != test.want {
				t.Errorf("exit code %d, want %d", got, test.want)
			}
		})
	}
}

func TestHintOfAStepSaysHowToGoOn(t *testing.T) {
	if got := Hint(&phase.Error{Err: errors.New("x")}); !strings.Contains(got, "run the same command again") {
		t.Errorf("hint %q", got)
	}
	ssh := withAdvice(&sshx.Error{Class: sshx.Auth, Address: netip.MustParseAddrPort("192.0.2.1:22"), Err: errors.New("no")})
	if got := Hint(&phase.Error{Err: ssh}); got != sshx.Auth.Advice() {
		t.Errorf("hint %q, want the advice of the class", got)
	}
	if got := Hint(&phase.Error{Err: phase.ErrProgressing}); !strings.Contains(got, "`slipway wait`") {
		t.Errorf("hint %q when the time ended", got)
	}
	if got := Hint(errors.New("x")); got != "" {
		t.Errorf("hint %q for an error we know nothing of", got)
	}
}

func TestPreflightErrorListsEveryProblem(t *testing.T) {
	err := &PreflightError{[]provider.Problem{{What: "port 53 is taken"}, {What: "storage x is missing"}}}
	if got, want := err.Error(), "preflight: port 53 is taken; storage x is missing"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

func TestJudge(t *testing.T) {
	node := spec.Node{Name: "worker-0", Full: "worker-0.mycluster.lab.test", Address: netip.MustParseAddr("192.0.2.204")}
	good := probe.Facts{Hostname: node.Full, Kubelet: "active"}
	with := func(change func(*probe.Facts)) probe.Facts { f := good; change(&f); return f }
	tests := []struct {
		name     string
		facts    probe.Facts
		want     string
		warnings int
	}{
		{"as planned", good, "", 0},
		{"a failed unit is a warning", with(func(f *probe.Facts) { f.Failed = []string{"chronyd.service"} }), "", 1},
		{"live system", with(func(f *probe.Facts) { f.Live = true }), "worker-0.mycluster.lab.test still runs the live system of its boot image", 0},
		{"another name", with(func(f *probe.Facts) { f.Hostname = "localhost" }), `the host at 192.0.2.204 calls itself "localhost", not "worker-0.mycluster.lab.test"`, 0},
		{"kubelet down", with(func(f *probe.Facts) { f.Kubelet = "failed" }), "kubelet on worker-0.mycluster.lab.test is failed", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			warnings := 0
			r := &run{Project: &Project{Options: Options{Sink: event.Func(func(e event.Event) {
				if e.Kind == event.Warning {
					warnings++
				}
			})}}}
			got := ""
			if err := r.judge(node, test.facts); err != nil {
				got = err.Error()
			}
			if got != test.want || warnings != test.warnings {
				t.Errorf("error %q and %d warnings, want %q and %d", got, warnings, test.want, test.warnings)
			}
		})
	}
}

// An installation that has failed says by whom, and not to try the same again.
func TestAFailedInstallationNamesItsHosts(t *testing.T) {
	p := installer.Progress{State: installer.Failed, Info: "cluster has hosts in error", Hosts: []installer.HostProgress{
		{Node: "control-0", Info: "Installation in progress"},
		{Node: "worker-0", State: "error", Stage: "Writing image to disk", Failed: true, Info: "the host restarted"},
	}}
	err := new(run).failed(p)
	const want = "the installer gave up: cluster has hosts in error; worker-0: the host restarted"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if advice := Hint(&phase.Error{Step: "install", Phase: phaseInstall, Err: err}); !strings.Contains(advice, "`slipway down`") || strings.Contains(advice, "same command") {
		t.Errorf("advice %q", advice)
	}
	if got := stageOf(p.Hosts[1]); got != "error: the host restarted" {
		t.Errorf("stage %q", got)
	}
	p.State = installer.Installing
	if err := new(run).failed(p); err != nil {
		t.Errorf("while it goes on: %v", err)
	}
}
