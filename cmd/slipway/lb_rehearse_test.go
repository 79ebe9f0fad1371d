//go:build rehearse

package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
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

// Whoever of those that serve a cluster is killed, DNS and load balancer are
// back within two seconds after somebody starts them again, each once. That up
// dies changes nothing; down releases the ports.
func TestRehearseServicesComeBack(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	up := w.slipway(t, "up", "--yes", "-f", example, "--progress", "none")
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	w.back(t, 20*time.Second)
	before := w.servingPids(t)
	up.Process.Kill()
	_ = up.Wait()
	w.back(t, 0)
	w.must(t, "up", "--yes", "-f", example)
	w.balanced(t, "haproxy")
	if now := w.servingPids(t); !slices.Equal(now, before) {
		t.Errorf("processes %q are %q after up died and went on", before, now)
	}
	w.killed(t, "serve", func(pids []string) []string { return pids[:1] }, "up", "--yes", "-f", example)
	w.killed(t, "haproxy", func(pids []string) []string { return pids[1:2] }, "serve", "status") // which serve starts itself
	w.killed(t, "all", func(pids []string) []string { return pids }, "up", "--yes", "-f", example)
	w.balanced(t, "haproxy")
	w.must(t, "down", "--yes", "-f", example)
	if left := w.run(t, "ss", "-Hlntu", "src", "192.0.2.210"); left != "" {
		t.Errorf("sockets after down:\n%s", left)
	}
	w.noResidue(t)
}

// killed kills some of those that serve, and starts them by running slipway.
func (w *testWorld) killed(t *testing.T, who string, victims func(pids []string) []string, start ...string) {
	t.Helper()
	before := w.servingPids(t)
	w.run(t, append([]string{"kill", "-9"}, victims(before)...)...)
	cmd := w.slipway(t, start...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	took := w.back(t, 2*time.Second)
	t.Logf("%s killed: back after %s", who, took)
	if took > 2*time.Second {
		t.Errorf("%s killed: it took %s, want at most 2 s", who, took)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s killed: slipway %s: %v", who, strings.Join(start, " "), err)
	}
	after := w.servingPids(t)
	for i, pid := range before {
		if dead := slices.Contains(victims(before), pid); i < 2 && dead == (after[i] == pid) {
			t.Errorf("%s killed: serve, haproxy and its worker were %q, are %q", who, before, after)
		}
	}
}

// back waits until DNS and load balancer answer, at most so long.
func (w *testWorld) back(t *testing.T, most time.Duration) time.Duration {
	t.Helper()
	for begun := time.Now(); ; <-time.After(20 * time.Millisecond) {
		answer := strings.TrimSpace(w.run(t, "dig", "@192.0.2.210", "+short", "+time=1", "+tries=1", "api-int.mycluster.lab.test"))
		if answer == "192.0.2.210" && w.accepts("192.0.2.210:6443") {
			return time.Since(begun)
		}
		if took := time.Since(begun); took > most {
			t.Fatalf("DNS or load balancer is not back after %s", took)
		}
	}
}

// servingPids are serve, haproxy and its worker, each of which must be there
// once within two seconds.
func (w *testWorld) servingPids(t *testing.T) []string {
	t.Helper()
	home := w.ready.Env["SLIPWAY_HOME"]
	for deadline := time.Now().Add(2 * time.Second); ; <-time.After(20 * time.Millisecond) {
		serve := strings.Fields(w.run(t, "pgrep", "-f", "^[^ ]*slipway[^ ]* serve --document "+home))
		haproxy := strings.Fields(w.run(t, "pgrep", "-f", "^[^ ]*haproxy -W .*"+home))
		if len(serve) == 1 && len(haproxy) == 2 {
			return append(serve, haproxy...)
		}
		if time.Now().After(deadline) {
			t.Fatalf("serve %q, haproxy %q", serve, haproxy)
		}
	}
}

// What serving needs of this host is missed before anything is made.
func TestRehearseServicesNeedRoom(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	few := w.command("sh", "-c", `ulimit -n 490 && exec "$@"`, "sh", w.exe, "up", "--yes", "-f", example)
	var stderr strings.Builder
	few.Stderr = &stderr
	if err := few.Run(); err == nil || few.ProcessState.ExitCode() != provision.ExitPreflight || !strings.Contains(stderr.String(), "file limit 490 is too low for a load balancer") {
		t.Errorf("%v: %s", err, stderr.String())
	}
	run := filepath.Join(w.ready.Env["SLIPWAY_HOME"], "run")
	if err := errors.Join(os.RemoveAll(run), os.WriteFile(run, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if said := w.fails(t, provision.ExitPreflight, nil, "up", "--yes", "-f", example); !strings.Contains(said, "run directory of slipway serve: ") || !strings.Contains(said, "not a directory") {
		t.Errorf("with a file in its place: %s", said)
	}
	if hosts := w.hosts(t); len(hosts) > 0 {
		t.Errorf("machines were made: %+v", hosts)
	}
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
