package netlab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/testbed"
)

// resident is what a process inside says of itself before it waits.
type resident struct {
	PID   int
	Enter []string
}

// TestResident is no test by itself: it is what TestEnter and others look at.
func TestResident(t *testing.T) {
	if os.Getenv(stage) != inner {
		return
	}
	must(t, json.NewEncoder(os.Stdout).Encode(resident{os.Getpid(), Enter()}))
	io.Copy(io.Discard, os.Stdin)
}

// start runs TestResident as the given user until the test ends.
func start(t *testing.T, uid int) (resident, *exec.Cmd) {
	t.Helper()
	cmd := chain(t, uid, "-test.run=^TestResident$")
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	var r resident
	if json.Unmarshal([]byte(line), &r) != nil {
		testbed.Missing(t, "namespaces: %s", line)
	}
	return r, cmd
}

func TestEnter(t *testing.T) {
	testbed.Program(t, "nsenter")
	for _, kind := range users(t) {
		t.Run(kind.name, func(t *testing.T) {
			r, _ := start(t, kind.uid)
			argv := append(r.Enter, "sh", "-c", "id -u; pwd; cat /etc/hosts /etc/resolv.conf; grep -c : /proc/net/dev")
			cmd := as(kind.uid, exec.CommandContext(t.Context(), argv[0], argv[1:]...))
			cmd.Dir = "/tmp"
			out, err := cmd.CombinedOutput()
			must(t, err)
			const want = "0\n/\n198.51.100.10 pve.lab.test\nnameserver 192.0.2.1\n1\n"
			if diff := cmp.Diff(want, string(out)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestTheSpawnedDieWithTheirParent(t *testing.T) {
	for _, kind := range users(t) {
		t.Run(kind.name, func(t *testing.T) {
			r, parent := start(t, kind.uid)
			// Its standard input is ours and stays open: nothing else ends it.
			must(t, parent.Process.Kill())
			if !ends(r.PID) {
				t.Errorf("process %d outlived its parent", r.PID)
			}
		})
	}
}

func ends(pid int) bool {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		if _, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil { // gone, or not reaped yet
			return true
		}
	}
	return false
}

func TestForbiddenNamespacesAreExplained(t *testing.T) {
	everybody := users(t)
	if !inside(t, everybody[len(everybody)-1]) { // root needs no user namespace
		return
	}
	must(t, os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0)) // of this namespace alone
	_, err := spawn(exec.Command("/proc/self/exe"), true)
	if got, want := hint.Of(err), locks[0].advice; got != want {
		t.Errorf("%v: hint %q, want %q", err, got, want)
	}
}

func TestWayOut(t *testing.T) {
	tests := []struct {
		name   string
		asUser bool
		file   string
		value  string
		want   string
	}{
		{"root in a container", false, "", "", adviceRoot},
		{"no known lock", true, "", "", adviceUser},
		{"limit of zero", true, "user/max_user_namespaces", "0\n", locks[0].advice},
		{"Debian switch", true, "kernel/unprivileged_userns_clone", "0\n", locks[1].advice},
		{"Debian switch is on", true, "kernel/unprivileged_userns_clone", "1\n", adviceUser},
		{"Ubuntu restriction", true, "kernel/apparmor_restrict_unprivileged_userns", "1\n", locks[2].advice},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.file != "" {
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, tt.file)), 0o755))
				must(t, os.WriteFile(filepath.Join(dir, tt.file), []byte(tt.value), 0o644))
			}
			if got := wayOut(dir, tt.asUser); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNothingIsTouchedOutside(t *testing.T) {
	const want = "not in namespaces of its own"
	if err := Settle("hosts", "resolv.conf"); err == nil || err.Error() != want {
		t.Errorf("Settle: got %v, want %s", err, want)
	}
	if _, err := Processes(); err == nil || err.Error() != want {
		t.Errorf("Processes: got %v, want %s", err, want)
	}
}

func TestShow(t *testing.T) {
	if !inside(t) {
		return
	}
	tests := []struct {
		name string
		make func(path string) error
	}{
		{"file", func(path string) error { return os.WriteFile(path, []byte("real"), 0o644) }},
		{"absent", func(string) error { return nil }},
		{"link to nowhere", func(path string) error { return os.Symlink("../run/none/resolv.conf", path) }},
		{"link", func(path string) error {
			return os.Symlink(filepath.Join(filepath.Dir(path), "other"), path)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			world, etc := t.TempDir(), t.TempDir()
			ours, path := filepath.Join(world, "a:b,c"), filepath.Join(etc, "resolv.conf")
			must(t, os.WriteFile(ours, []byte("ours"), 0o644))
			must(t, os.WriteFile(filepath.Join(etc, "other"), []byte("other"), 0o644))
			must(t, tt.make(path))
			must(t, show(etc, map[string]string{"resolv.conf": ours}))
			defer unmount(path, etc)
			text, err := os.ReadFile(path)
			must(t, err)
			if string(text) != "ours" {
				t.Errorf("shows %q", text)
			}
		})
	}
}

// unmount takes away what show mounted; which of it exists depends on the case.
func unmount(path, dir string) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		syscall.Unmount(target, syscall.MNT_DETACH)
	}
	syscall.Unmount(dir, syscall.MNT_DETACH)
}

func TestProcesses(t *testing.T) {
	if !inside(t) {
		return
	}
	cmd := exec.Command("sleep", "60")
	must(t, cmd.Start())
	found, err := Processes()
	must(t, err)
	if len(found) != 1 || found[0].PID != cmd.Process.Pid || found[0].Command != "sleep 60" {
		t.Fatalf("got %v, want sleep 60 alone", found)
	}
	stranger := found[0]
	stranger.start = "1"
	must(t, stranger.Kill())
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Fatalf("killed although it started at another time: %v", err)
	}
	must(t, found[0].Kill())
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("got %v, want killed", err)
	}
	must(t, found[0].Kill())
}

// A mount namespace that was made of ours is inside too, whatever it shows as
// /etc/hosts.
func TestProcessesInside(t *testing.T) {
	if !inside(t) {
		return
	}
	cmd := exec.Command("unshare", "--mount", "sh", "-c", "mount -t tmpfs none /etc && exec sleep 61")
	must(t, cmd.Start())
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	for deadline := time.Now().Add(10 * time.Second); ; <-time.After(10 * time.Millisecond) {
		found, err := Processes()
		must(t, err)
		if len(found) == 1 && found[0].Command == "sleep 61" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %v, want sleep 61 alone", found)
		}
	}
}
