package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteReplacesAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"a long text", "", "short"} {
		if err := Write(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); string(got) != text || err != nil {
			t.Errorf("read %q, %v; want %q", got, err, text)
		}
		if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 {
			t.Errorf("mode %v", info.Mode())
		}
	}
	if diff := cmp.Diff([]string{"f"}, names(t, filepath.Dir(path))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// What cannot be put in place leaves nothing of it behind.
func TestWriteThatFailsLeavesTheOld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("x"), 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	if diff := cmp.Diff([]string{"f"}, names(t, filepath.Dir(path))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// broken is a file on which one call fails.
type broken struct {
	*os.File
	call  string
	fault error
}

func (b *broken) fail(call string, err error) error {
	if call == b.call {
		return b.fault
	}
	return err
}

func (b *broken) Chmod(mode os.FileMode) error { return b.fail("chmod", b.File.Chmod(mode)) }
func (b *broken) Sync() error                  { return b.fail("sync", b.File.Sync()) }
func (b *broken) Close() error                 { return b.fail("close", b.File.Close()) }
func (b *broken) Write(p []byte) (int, error) {
	n, err := b.File.Write(p)
	if b.call == "write" {
		n = len(p) / 2
	}
	return n, b.fail("write", err)
}

// Whatever the disk refuses, the new content is not put in place.
func TestEveryFaultIsTold(t *testing.T) {
	for _, call := range []string{"chmod", "write", "sync", "close"} {
		for _, fault := range []error{syscall.ENOSPC, syscall.EIO, syscall.EDQUOT, io.ErrShortWrite} {
			f, err := os.Create(filepath.Join(t.TempDir(), "f"))
			if err != nil {
				t.Fatal(err)
			}
			if err := fill(&broken{f, call, fault}, []byte("text"), 0o600); !errors.Is(err, fault) {
				t.Errorf("%s fails by %v, told is %v", call, fault, err)
			}
		}
	}
}

// Only what a process that is gone left half-written is removed.
func TestSweep(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	gone := dead.Process.Pid
	dir := t.TempDir()
	want := []string{
		".host_keys.json", ".ssh.known.hosts", fmt.Sprintf(".f.%d", gone), fmt.Sprintf(".f.%d.x", gone),
		fmt.Sprintf(".kubeconfig.%d.77", os.Getpid()), fmt.Sprintf("f.%d.77", gone), ".f.0.77",
	}
	for _, base := range []string{"kubeconfig", "host_keys.json"} {
		f, err := os.CreateTemp(dir, pattern(base, gone))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	for _, name := range want {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	Sweep(dir, filepath.Join(dir, "absent"))
	got := names(t, dir)
	if len(got) != len(want) {
		t.Errorf("left are %q, want %q", got, want)
	}
	for _, name := range want {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
