//go:build rehearse

package main

import (
	"bufio"
	"encoding/json"
	"net/netip"
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
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/rehearsal/node"
)

func needMachines(t *testing.T) {
	t.Helper()
	if err := canRunMachines(slipway(t)); err != nil {
		testbed.Missing(t, "virtual machines: %v (%s)", err, hint.Of(err))
	}
}

// Five virtual machines go from the ISO to their disks and become a cluster,
// although slipway is killed while they install. One that dies is missed by
// nobody who asks the API. In the end nothing is left.
func TestRehearseRealMachines(t *testing.T) {
	needMachines(t)
	began := time.Now()
	w := startWorld(t, "rehearse", "world", "--machines", "qemu", "-f", example)
	w.killedInstalling(t)
	w.up(t, example)
	t.Logf("Ready after %.0f s", time.Since(began).Seconds())
	w.answers(t, "192.0.2.1", "api-int.mycluster.lab.test", "") // nobody else knows it
	w.guestsAgree(t)
	w.serves(t, "192.0.2.210", "mycluster.lab.test")
	w.losesControlPlane(t)
	w.goneAfterDown(t, example)
	if left := w.emulators(t); len(left) > 0 {
		t.Errorf("QEMU is left: %v", left)
	}
	if left, err := filepath.Glob(filepath.Join(w.dir, "vm-*", "*")); err != nil || len(left) > 0 {
		t.Errorf("files of machines are left: %v, %v", left, err)
	}
	t.Logf("done after %.0f s", time.Since(began).Seconds())
}

// killedInstalling kills up while the first machine writes its disk.
func (w *testWorld) killedInstalling(t *testing.T) {
	t.Helper()
	cmd := w.slipway(t, "up", "--yes", "-f", example, "--progress", "json")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := ""
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		var e event.Event
		said = lines.Text()
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Kind == event.Stage && e.Stage == "Writing image to disk" {
			_ = cmd.Process.Kill()
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("up ended before it could be killed: %v: %s", err, said)
	}
}

// guestsAgree asks the machines: each has booted twice, once from the ISO and
// once from its disk, and has its configuration from the balancer, which it
// found by asking our DNS for api-int.
func (w *testWorld) guestsAgree(t *testing.T) {
	t.Helper()
	want, got := map[string]node.HostState{}, map[string]node.HostState{}
	for i, name := range []string{"control-0", "control-1", "control-2", "worker-0", "worker-1"} {
		name += ".mycluster.lab.test"
		want[name] = node.HostState{Phase: node.PhaseBooted, Boots: 2, Hostname: name, Ignition: "192.0.2.210:22623",
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(201 + i)})}}
	}
	for _, h := range w.hosts(t) {
		got[h.Name] = h.State
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("machines (-want +got):\n%s", diff)
	}
	if running := w.emulators(t); len(running) != len(want) {
		t.Errorf("processes of QEMU: %v", running)
	}
}

// losesControlPlane cuts a machine's power, and sends the API 30 requests within
// the next five seconds, none of which waits for the one before: once it may fail.
func (w *testWorld) losesControlPlane(t *testing.T) {
	t.Helper()
	const victim, requests = "control-1.mycluster.lab.test", 30
	w.signal(t, victim, syscall.SIGKILL)
	tick := time.NewTicker(5 * time.Second / requests)
	defer tick.Stop()
	var answers [requests]string
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() {
			answers[i] = strings.TrimSpace(w.run(t, "curl", "-sk", "-m", "10", "-o", "/dev/null", "-w", "%{http_code} after %{time_total} s", "https://192.0.2.210:6443/readyz"))
		})
		<-tick.C
	}
	group.Wait()
	failed := 0
	for _, answer := range answers {
		if !strings.HasPrefix(answer, "200 ") {
			failed++
		}
	}
	if failed > 1 {
		t.Errorf("%d of %d requests failed after a control plane machine was lost: %q", failed, requests, answers)
	}
	t.Logf("%d of %d requests failed after a control plane machine was lost", failed, requests)
	for _, h := range w.hosts(t) {
		if dead := strings.HasPrefix(h.State.Stuck, "the machine ended"); dead != (h.Name == victim) {
			t.Errorf("%s: %s", h.Name, h.State)
		}
	}
}

// signal reaches the QEMU of a machine.
func (w *testWorld) signal(t *testing.T, machine string, s syscall.Signal) {
	t.Helper()
	running := w.emulators(t)
	pid, is := running[machine]
	if !is { // 0 would be ourselves
		t.Fatalf("no QEMU runs %s, of %v", machine, running)
	}
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}

// emulators are the processes of QEMU in the world, by the name of the machine.
func (w *testWorld) emulators(t *testing.T) map[string]int {
	t.Helper()
	found := map[string]int{}
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(line), "qemu-system-") || !strings.Contains(string(line), w.dir) {
			continue
		}
		_, rest, _ := strings.Cut(string(line), "guest=")
		name, _, _ := strings.Cut(rest, "\x00")
		if found[name], err = strconv.Atoi(filepath.Base(filepath.Dir(path))); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// What virtual machines lack is named before anything starts.
func TestRehearseMachinesNeedPrograms(t *testing.T) {
	dir := t.TempDir()
	for _, program := range []string{"apt-get", "apt-cache", "dpkg-deb"} {
		if err := os.WriteFile(filepath.Join(dir, program), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(slipway(t), "rehearse", "--machines", "qemu", "-f", example)
	cmd.Env = []string{"PATH=" + dir, "HOME=" + dir}
	out, err := cmd.CombinedOutput()
	want := `slipway: error: virtual machines need programs that are missing: qemu-system-x86, xorriso
slipway: hint: install them with 'sudo apt-get install qemu-system-x86 xorriso', or rehearse with simulated machines
`
	if err == nil || string(out) != want {
		t.Errorf("%v\n%s", err, out)
	}
}
