//go:build rehearse

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/rehearsal"
)

const example = "../../examples/proxmox-ha/cluster.hcl"

// binary builds slipway as `make build` does.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "slipway-bin-")
	if err != nil {
		return "", err
	}
	shared = append(shared, dir)
	exe := filepath.Join(dir, "slipway")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", exe, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // virtual machines have no libraries
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	// An ordinary user runs it too.
	return exe, os.Chmod(dir, 0o755)
})

func slipway(t *testing.T) string {
	t.Helper()
	exe, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// Every example goes from spec to Ready and back to nothing.
func TestRehearseExamples(t *testing.T) {
	specs, err := filepath.Glob("../../examples/*/cluster.hcl")
	if err != nil || len(specs) == 0 {
		t.Fatal("no examples: ", err)
	}
	for _, path := range specs {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(slipway(t), "rehearse", "-f", path, "-o", "json")
			if provider := read(t, path).Clusters[0].Provider.Type; provider == "qemu" { // TestRehearsePrivateNetwork has it Ready
				if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != provision.ExitUsage || !strings.HasSuffix(string(out), "\nslipway: hint: add --machines qemu\n") {
					t.Errorf("provider %q: %s", provider, out)
				}
				return
			}
			wantReady(t, rehearse(t, cmd), plannedNodes(t, path)...)
		})
	}
}

func read(t *testing.T, path string) reading {
	t.Helper()
	a := &app{files: []string{path}, stderr: io.Discard}
	r, err := a.read()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// plannedNodes are the names of the nodes that a spec asks for.
func plannedNodes(t *testing.T, path string) (names []string) {
	t.Helper()
	for _, c := range read(t, path).Clusters {
		for _, n := range c.Nodes {
			names = append(names, n.Name)
		}
	}
	return names
}

// An ordinary user can rehearse where namespaces are allowed to them, also what
// another program writes.
func TestRehearseAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for d := dir; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(slipway(t), "rehearse", "-f", "-", "-o", "json")
	cmd.Stdin = bytes.NewReader(text)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	wantReady(t, rehearse(t, cmd), "control-0", "control-1", "control-2", "worker-0", "worker-1")
}

func rehearse(t *testing.T, cmd *exec.Cmd) rehearsalReport {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var report rehearsalReport
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatalf("%v in %s", err, stdout.String())
	}
	return report
}

func wantReady(t *testing.T, r rehearsalReport, names ...string) {
	t.Helper()
	var ready []string
	for _, n := range r.Nodes {
		if n.Ready {
			ready = append(ready, n.Name)
		}
	}
	if diff := cmp.Diff(names, ready); diff != "" {
		t.Errorf("ready nodes (-want +got):\n%s", diff)
	}
	if r.Version != 1 || !strings.HasPrefix(r.Console, "https://console-openshift-console.apps.") || r.Kubeconfig == "" || len(r.Phases) < 9 {
		t.Errorf("report %+v", r)
	}
	if len(r.Residue) != 0 || r.Residue == nil {
		t.Errorf("residue %q", r.Residue)
	}
}

// What a kept cluster answers: names, reverse names, nothing else, and the
// API through haproxy. An absent address does not refuse.
func TestRehearseServesTheCluster(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	w.must(t, "up", "--yes", "-f", example)
	const at = "@192.0.2.210"
	for _, tt := range []struct{ question, want string }{
		{"api.mycluster.lab.test", "192.0.2.210"},
		{"api-int.mycluster.lab.test", "192.0.2.210"},
		{"x.apps.mycluster.lab.test", "192.0.2.210"},
		{"control-0.mycluster.lab.test", "192.0.2.201"},
		{"-x 192.0.2.204", "worker-0.mycluster.lab.test."},
		{"nothing-here.mycluster.lab.test", ""},
	} {
		args := append([]string{"dig", at, "+short"}, strings.Fields(tt.question)...)
		if got := strings.TrimSpace(w.run(t, args...)); got != tt.want {
			t.Errorf("dig %s = %q, want %q", tt.question, got, tt.want)
		}
	}
	if out := w.run(t, "dig", at, "nothing-here.mycluster.lab.test"); !strings.Contains(out, "status: NXDOMAIN") {
		t.Errorf("a random name: %s", out)
	}
	for url, want := range map[string]string{
		"https://api.mycluster.lab.test:6443/readyz":                 "ok",
		"https://192.0.2.210:22623/config/worker":                    `"ignition"`,
		"https://console-openshift-console.apps.mycluster.lab.test/": "",
	} {
		if out := w.run(t, "curl", "-sk", "--fail", "--resolve", "api.mycluster.lab.test:6443:192.0.2.210",
			"--resolve", "console-openshift-console.apps.mycluster.lab.test:443:192.0.2.210", "-m", "10", url); !strings.Contains(out, want) {
			t.Errorf("curl %s = %q", url, out)
		}
	}
	began := time.Now()
	err := w.command("curl", "-sk", "-m", "2", "https://192.0.2.99:6443/").Run()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 28 || time.Since(began) < 2*time.Second {
		t.Errorf("an absent address after %v: %v, want a time-out (28)", time.Since(began), err)
	}
	w.goneAfterDown(t, example)
}

// Two clusters of two specs come up in one datacentre at the same time.
func TestRehearseTwoClustersAtOnce(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "cluster.hcl")
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(`"mycluster"`, `"other"`, "210)", "220)", "192.0.2.201-203", "192.0.2.211-213", "192.0.2.204-205", "192.0.2.214-215").Replace(string(text))
	if err := os.WriteFile(other, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	w := openTestWorld(t, example, other)
	var group sync.WaitGroup
	for _, spec := range []string{example, other} {
		group.Go(func() { w.must(t, "up", "--yes", "-f", spec) })
	}
	group.Wait()
	w.noneTwice(t, 10)
	w.must(t, "down", "--yes", "-f", example)
	if left := w.hosts(t); len(left) != 5 {
		t.Errorf("%d machines after the first cluster is gone, want the other's 5", len(left))
	}
	w.goneAfterDown(t, other)
}

// A testWorld is `rehearse world` in a process of its own.
type testWorld struct {
	exe   string
	ready rehearsal.Ready
	dir   string
}

func openTestWorld(t *testing.T, specs ...string) *testWorld {
	t.Helper()
	return openWorldAt(t, defaultSpeed, specs...)
}

func openWorldAt(t *testing.T, speed int, specs ...string) *testWorld {
	t.Helper()
	args := []string{"rehearse", "world", "--speed", strconv.Itoa(speed)}
	for _, s := range specs {
		args = append(args, "-f", s)
	}
	return startWorld(t, args...)
}

func startWorld(t *testing.T, args ...string) *testWorld {
	t.Helper()
	cmd := exec.Command(slipway(t), args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("world: %v: %s", err, stderr.String())
		}
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("world: %v: %s", err, stderr.String())
	}
	go io.Copy(io.Discard, stdout)
	w := &testWorld{exe: slipway(t)}
	if err := json.Unmarshal(line, &w.ready); err != nil {
		t.Fatal(err)
	}
	w.dir = filepath.Dir(w.ready.Env["SLIPWAY_HOME"])
	return w
}

func (w *testWorld) command(args ...string) *exec.Cmd {
	argv := append(append([]string{}, w.ready.Enter...), args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "HOME=" + w.dir}
	for name, value := range w.ready.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

func (w *testWorld) slipway(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return w.command(append([]string{w.exe}, args...)...)
}

func (w *testWorld) run(t *testing.T, args ...string) string {
	t.Helper()
	out, _ := w.command(args...).Output()
	return string(out)
}

// must runs slipway, which must succeed, and returns its answer.
func (w *testWorld) must(t *testing.T, args ...string) string {
	t.Helper()
	cmd := w.slipway(t, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("slipway %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String()
}

func (w *testWorld) hosts(t *testing.T) []rehearsal.Host {
	t.Helper()
	hosts, err := rehearsal.NewControl(w.dir).Hosts(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return hosts
}

func (w *testWorld) noneTwice(t *testing.T, want int) {
	t.Helper()
	seen := map[string]bool{}
	for _, h := range w.hosts(t) {
		if seen[h.Name] {
			t.Errorf("machine %s exists twice", h.Name)
		}
		seen[h.Name] = true
	}
	if len(seen) != want {
		t.Errorf("%d machines, want %d", len(seen), want)
	}
}

func (w *testWorld) goneAfterDown(t *testing.T, spec string) {
	t.Helper()
	w.must(t, "down", "--yes", "-f", spec)
	w.noResidue(t)
}

func (w *testWorld) noResidue(t *testing.T) {
	t.Helper()
	residue, err := rehearsal.NewControl(w.dir).Residue(context.Background(), nil, []string{w.ready.Env["SLIPWAY_HOME"]})
	if err != nil || len(residue) != 0 {
		t.Errorf("residue %q, %v", residue, err)
	}
}
