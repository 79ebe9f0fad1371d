//go:build rehearse

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// variant writes the example with some words replaced, and returns its path.
func variant(t *testing.T, oldnew ...string) string {
	t.Helper()
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(oldnew...).Replace(string(text))
	if len(oldnew) > 0 && changed == string(text) {
		t.Fatalf("the example has no %q", oldnew[0])
	}
	path := filepath.Join(t.TempDir(), "cluster.hcl")
	if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// fails runs slipway, which must end with the exit code, and returns stderr.
func (w *testWorld) fails(t *testing.T, code int, env []string, args ...string) string {
	t.Helper()
	cmd := w.slipway(t, args...)
	cmd.Env = append(cmd.Env, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != code {
		t.Errorf("slipway %s: %v, want exit code %d\n%s", strings.Join(args, " "), err, code, stderr.String())
	}
	return stderr.String()
}

// What would fail later is found before the first machine is made, and comes
// with its remedy.
func TestRehearseRefusesEarly(t *testing.T) {
	w := openTestWorld(t, example)
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	override := filepath.Join(dir, "override.hcl")
	os.WriteFile(token, []byte("slipway@pve!rehearsal=00000000-0000-0000-0000-000000000000"), 0o600)
	os.WriteFile(override, []byte("secret \"pve\" {\n  file = \""+token+"\"\n}\n"), 0o600)
	tests := []struct {
		name string
		spec string
		env  []string
		want []string
	}{
		{"wrong token", example, []string{"SLIPWAY_OVERRIDE=" + override}, []string{"token is not valid", "slipway: hint: "}},
		{"unknown certificate", example, []string{"SLIPWAY_OVERRIDE=", "SLIPWAY_PROXMOX_FINGERPRINT=", "SLIPWAY_PROXMOX_TOKEN=" + w.ready.Env["SLIPWAY_PROXMOX_TOKEN"]}, []string{"fingerprint = \""}},
		{"endpoint unreachable", variant(t, "http://192.0.2.9:8090", "http://192.0.2.9:8091"), nil, []string{"http://192.0.2.9:8091 does not answer", "connection refused"}},
		{"storage missing", variant(t, "token    = secret.pve", "token = secret.pve\n  storage = { iso = \"nfs\" }"), nil, []string{`storage "nfs"`}},
		{"bridge missing", variant(t, "vmbr0", "vmbr7"), nil, []string{`vmbr7`}},
		{"services address elsewhere", variant(t, "210)", "220)"), nil, []string{"192.0.2.220 is not on this host", "ip addr add 192.0.2.220/24"}},
		{"release not offered", variant(t, "okd-4.20", "okd-4.99"), nil, []string{"release okd-4.99 is not offered"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stderr := w.fails(t, 12, test.env, "up", "--yes", "-f", test.spec)
			for _, want := range test.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr lacks %q:\n%s", want, stderr)
				}
			}
		})
	}
	for _, address := range []string{"192.0.2.210:53", "192.0.2.210:6443"} {
		t.Run("taken "+address, func(t *testing.T) {
			holder := w.hold(t, address)
			stderr := w.fails(t, 12, nil, "up", "--yes", "-f", example)
			if !strings.Contains(stderr, address) || !strings.Contains(stderr, holder) {
				t.Errorf("stderr does not say who has %s (%s):\n%s", address, holder, stderr)
			}
		})
	}
	for _, verb := range []string{"up", "down"} {
		t.Run("nobody to ask before "+verb, func(t *testing.T) {
			stderr := w.fails(t, 10, nil, verb, "-f", example)
			if !strings.Contains(stderr, "Plan for mycluster.lab.test") || !strings.Contains(stderr, "slipway: hint: add --yes") {
				t.Errorf("stderr shows no plan or no hint:\n%s", stderr)
			}
		})
	}
	if hosts := w.hosts(t); len(hosts) != 0 {
		t.Errorf("machines were made: %+v", hosts)
	}
	w.noResidue(t)
}

// hold has a process inside listen at address, and returns its name.
func (w *testWorld) hold(t *testing.T, address string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.command(self, "-test.run", "^TestHoldAnAddress$")
	cmd.Env = append(cmd.Env, "HOLD="+address)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	ready := make([]byte, 1)
	if _, err := stdout.Read(ready); err != nil {
		t.Fatal("the holder of ", address, " did not start: ", err)
	}
	return filepath.Base(self)[:10]
}

// TestHoldAnAddress is the process that hold starts; else it does nothing.
func TestHoldAnAddress(t *testing.T) {
	address, asked := os.LookupEnv("HOLD")
	if !asked {
		return
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	os.Stdout.Write([]byte("x"))
	os.Stdin.Read(make([]byte, 1))
}

// Ctrl-C ends up with exit 8 within two seconds wherever it is, and up again
// ends Ready.
func TestRehearseCtrlC(t *testing.T) {
	w := openTestWorld(t, example)
	for _, after := range []time.Duration{20, 150, 500, 1500, 4000} {
		cmd := w.slipway(t, "up", "--yes", "-f", example, "--progress", "none")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(after * time.Millisecond)
		began := time.Now()
		cmd.Process.Signal(os.Interrupt)
		err := cmd.Wait()
		exit, ok := err.(*exec.ExitError)
		if took := time.Since(began); !ok || exit.ExitCode() != 8 || took > 2*time.Second {
			t.Errorf("after %d ms: %v in %v, want exit status 8 within 2s", after, err, took)
		}
	}
	w.must(t, "up", "--yes", "-f", example)
	w.noneTwice(t, 5)
	w.goneAfterDown(t, example)
}

// The second of two runs of one cluster is told who has it.
func TestRehearseSecondRunIsToldWhoHolds(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	first := w.slipway(t, "up", "--yes", "-f", example, "--progress", "json")
	stderr, err := first.StderrPipe()
	if err == nil {
		err = first.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), `"discover"`) {
	}
	go io.Copy(io.Discard, stderr)
	told := w.fails(t, 11, nil, "up", "--yes", "-f", example)
	if want := fmt.Sprintf("is held by `slipway up` (pid %d on ", first.Process.Pid); !strings.Contains(told, want) || !strings.Contains(told, "now at step ") {
		t.Errorf("stderr lacks %q and the step:\n%s", want, told)
	}
	if s := w.must(t, "status", "-f", example); !strings.Contains(s, "\nInstaller: ") || !strings.Contains(s, "no kubeconfig yet") {
		t.Errorf("status while it is made:\n%s", s)
	}
	if err := first.Wait(); err != nil {
		t.Error(err)
	}
	if s := w.must(t, "status", "-f", example); strings.Contains(s, "Installer") || strings.Count(s, "Ready") != 5 {
		t.Errorf("status when it is Ready:\n%s", s)
	}
	w.goneAfterDown(t, example)
}

// A killed rehearsal leaves neither processes nor files.
func TestRehearseKilledLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(slipway(t), "rehearse", "-f", example, "--progress", "json")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), `"discover"`) {
	}
	cmd.Process.Kill()
	cmd.Wait()
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(100 * time.Millisecond) {
		left, err := os.ReadDir(dir)
		running, _ := exec.Command("pgrep", "-f", dir).Output()
		if err == nil && len(left) == 0 && len(running) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left after 20s: %v, processes %s", left, running)
		}
	}
}
