package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/state"
)

// held has another run take the cluster.
func held(t *testing.T, p *Project, verb string) state.Journal {
	t.Helper()
	journal, err := p.store.Open(t.Context(), p.cluster.FullName(), state.Holder{Verb: verb, PID: 42, Host: "elsewhere", Since: time.Now()})
	if err == nil {
		err = journal.Append(state.Record{Kind: state.Created, Cluster: p.cluster.FullName(), ID: "1"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return journal
}

// An up that has the cluster is followed, step by step; when it ends early,
// wait has the cluster.
func TestWaitFollowsAnUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(t.TempDir(), "c", 1, 1)
		journal := held(t, s.Project, "up")
		journal.Describe("machine control-0")
		time.AfterFunc(time.Minute+time.Second, func() { journal.Describe("discover") })
		time.AfterFunc(time.Hour, func() { _ = journal.Close() })
		began := time.Now()
		r, err := s.follow(t.Context(), Installed)
		if err != nil || r == nil {
			t.Fatal(r, err)
		}
		defer r.close()
		if took := time.Since(began); took < time.Hour || took > time.Hour+lockEvery {
			t.Errorf("took the cluster after %v", took)
		}
		var notes []string
		for _, e := range s.log.seen {
			notes = append(notes, e.Message)
		}
		want := []string{
			"cluster c.lab.test is held by `slipway up` (pid 42 on elsewhere, for 0s, now at step machine control-0): following it",
			"cluster c.lab.test is held by `slipway up` (pid 42 on elsewhere, for 1m2s, now at step discover): following it",
		}
		if diff := cmp.Diff(want, notes); diff != "" {
			t.Errorf("notes (-want +got):\n%s", diff)
		}
	})
}

// What another run has reached need not be done again.
func TestWaitForInstalledEndsWithTheUpThatInstalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(t.TempDir(), "c", 1, 1)
		journal := held(t, s.Project, "up")
		defer journal.Close()
		time.AfterFunc(time.Minute, func() { _ = journal.Append(state.Record{Kind: state.Done, Step: "credentials"}) })
		result, err := s.Wait(t.Context(), Installed)
		if err != nil || result.Kubeconfig != s.Kubeconfig() || len(result.Nodes) != 1 {
			t.Errorf("result %+v, %v", result, err)
		}
	})
}

func TestWaitDoesNotFollow(t *testing.T) {
	tests := []struct {
		name, verb string
		timeout    time.Duration
		code       int
		want       string
	}{
		{"a down", "down", 0, ExitHeld, "cluster c.lab.test is held by `slipway down` (pid 42 on elsewhere, for 0s)"},
		{"an up for longer than it was told", "up", time.Minute, ExitTimeout, "the time given has passed: cluster c.lab.test is held by `slipway up` (pid 42 on elsewhere, for 1m0s)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := simulate(t.TempDir(), "c", 1, 1)
				journal := held(t, s.Project, test.verb)
				defer journal.Close()
				ctx := t.Context()
				if test.timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeoutCause(ctx, test.timeout, ErrTimeout)
					defer cancel()
				}
				_, err := s.Wait(ctx, Ready)
				if fmt.Sprint(err) != test.want || ExitCode(err) != test.code {
					t.Errorf("error %v, exit code %d; want %q, %d", err, ExitCode(err), test.want, test.code)
				}
			})
		})
	}
}

func TestWaitHasSomethingToWaitFor(t *testing.T) {
	s := simulate(t.TempDir(), "c", 2, 1)
	s.log.seen = nil
	refused := func(want string) {
		t.Helper()
		_, err := s.Wait(t.Context(), Ready)
		if err == nil || err.Error() != "there is no installation to wait for: "+want || ExitCode(err) != ExitOther || !strings.Contains(hint.Of(err), "slipway up") {
			t.Errorf("error %v, exit code %d", err, ExitCode(err))
		}
	}
	refused("nothing is known here of cluster c.lab.test")
	if names, err := s.store.List(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("wait left the state %v, %v", names, err)
	}
	journal := held(t, s.Project, "up")
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	s.script.machines["control-0"] = provider.Machine{Node: "control-0", Power: provider.PowerOn}
	refused("machine control-1.c.lab.test does not run")
	s.script.machines["control-1"] = provider.Machine{Node: "control-1", Power: provider.PowerOff}
	refused("machine control-1.c.lab.test does not run")
	s.script.machines["control-1"] = provider.Machine{Node: "control-1", Power: provider.PowerOn}
	refused("nothing is registered with the installer")
	s.script.broken["find"] = errors.New("no route to host")
	if _, err := s.Wait(t.Context(), Ready); err == nil || !strings.Contains(err.Error(), "no route to host") {
		t.Errorf("error %v", err)
	}
	for i, e := range s.log.seen {
		if want := []event.Kind{event.RunStart, event.RunDone}[i%2]; e.Kind != want {
			t.Errorf("event %d is %s, want %s", i, e.Kind, want)
		}
	}
}

// Nothing of what wait does makes anything.
func TestWaitGraphs(t *testing.T) {
	s := simulate(t.TempDir(), "c", 2, 1)
	s.cluster.Nodes[1].Labels = map[string]string{"a": "b"}
	for goal, want := range map[Goal][]string{
		Installed: {"services", "discover", "install", "credentials"},
		Ready:     {"services", "discover", "install", "credentials", "join", "health control-0", "health control-1", "label control-1"},
	} {
		if diff := cmp.Diff(want, names(s.waiting(goal))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", goal, diff)
		}
	}
}
