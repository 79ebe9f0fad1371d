//go:build rehearse

package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-project/slipway/loadbalancer"
	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/services"
)

// A host without haproxy installs a cluster as well: its balancer is our own.
func TestRehearseWithoutHAProxy(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	// The mount is private to the world's namespaces.
	path := strings.TrimSpace(w.run(t, "sh", "-c", "command -v haproxy"))
	if err := w.command("mount", "--bind", "/dev/null", path).Run(); err != nil {
		t.Fatal("mount inside the world: ", err)
	}
	if stderr := w.fails(t, provision.ExitPreflight, nil, "lb", "check", "-f", example); !strings.Contains(stderr, "4 of 4 ports of the load balancer are wrong") {
		t.Errorf("before up: %s", stderr)
	}
	w.must(t, "up", "--yes", "-f", example)
	w.balanced(t, "embedded")
	w.goneAfterDown(t, example)
}

// The haproxy of a serve that was killed is taken over by the next one.
func TestRehearseKeepsHAProxy(t *testing.T) {
	w := openTestWorld(t, example)
	w.must(t, "up", "--yes", "-f", example)
	status := w.balanced(t, "haproxy")
	pids := func() string {
		return strings.TrimSpace(w.run(t, "pgrep", "-f", "^[^ ]*haproxy -W .*mycluster.lab.test"))
	}
	before := pids()
	w.run(t, "kill", "-9", w.pid(t, status))
	w.must(t, "up", "--yes", "-f", example)
	w.balanced(t, "haproxy")
	if after := pids(); after != before {
		t.Errorf("haproxy %q is now %q", before, after)
	}
	w.goneAfterDown(t, example)
}

// balanced waits until every port of the cluster's load balancer, which must
// be the named one, does as it must; its checks take the seconds they take. It
// returns what serve says.
func (w *testWorld) balanced(t *testing.T, name string) (status services.Status) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		out := w.must(t, "serve", "status", "-o", "json")
		status = services.Status{}
		if err := json.Unmarshal([]byte(out), &status); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(status.Balancer.Servers, func(s loadbalancer.Server) bool { return s.State != "UP" || !strings.HasPrefix(s.Check, "L7OK") }) {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("not all servers are up:\n%s", out)
		case <-time.After(200 * time.Millisecond):
		}
	}
	if !strings.HasPrefix(status.Balancer.Name, name) || status.Error != "" || len(status.Balancer.Servers) != 10 {
		t.Errorf("served by %+v, want %s", status.Balancer, name)
	}
	if out := w.must(t, "lb", "check", "-f", example); strings.Contains(out, "wrong") {
		t.Errorf("lb check:\n%s", out)
	}
	return status
}

// pid is the serve process's number, as the world counts.
func (w *testWorld) pid(t *testing.T, status services.Status) string {
	t.Helper()
	b, err := json.Marshal(status.PID)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
