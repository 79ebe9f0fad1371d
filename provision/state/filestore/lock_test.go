package filestore

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/state"
)

const (
	holderHome = "SLIPWAY_TEST_HOLDER_HOME"
	cluster    = "c.lab.test"
)

func TestMain(m *testing.M) {
	if home := os.Getenv(holderHome); home != "" {
		hold(home)
		return
	}
	os.Exit(m.Run())
}

// hold is another process that takes the cluster and keeps it.
func hold(home string) {
	host, _ := os.Hostname()
	j, err := New(home).Open(context.Background(), cluster, state.Holder{Verb: "up", PID: os.Getpid(), Host: host, Since: time.Now().Add(-90 * time.Second)})
	if err == nil {
		err = j.Append(state.Record{Kind: state.Created, Cluster: cluster, ID: "1"})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	j.Describe("boot control-1")
	fmt.Println("held")
	bufio.NewReader(os.Stdin).ReadString('\n')
}

// The second run of a cluster is told which process has it, since when, and
// what it does. A holder that is killed leaves no lock, only its name.
func TestLockOfAKilledProcessIsTakenOver(t *testing.T) {
	home := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holderHome+"="+home)
	stdin, _ := cmd.StdinPipe()
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("holder said %q, %v", line, err)
	}
	host, _ := os.Hostname()
	_, err = New(home).Open(t.Context(), cluster, state.Holder{Verb: "down"})
	want := fmt.Sprintf("cluster c.lab.test is held by `slipway up` (pid %d on %s, for 1m3", cmd.Process.Pid, host)
	if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "s, now at step boot control-1)") {
		t.Errorf("error %v, want %s...", err, want)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	j := open(t, home)
	defer j.Close()
	if id := j.Document().ID; id != "1" {
		t.Errorf("the journal of the killed run has id %q", id)
	}
}

// After a reboot the lock file names a process of the last boot, whose id may
// be another's by now: it is free all the same, and a run that takes it puts
// its own name there.
func TestLockOfALastBootIsTakenOver(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(New(home).Dir(cluster), lockName)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	stale, _ := json.Marshal(state.Holder{Verb: "up", PID: 1, Host: host, Since: time.Now().Add(-100 * time.Hour), Step: strings.Repeat("a long step ", 20)})
	if err := os.WriteFile(path, stale, 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := New(home).Open(t.Context(), cluster, state.Holder{Verb: "down", PID: os.Getpid(), Host: host})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var held *state.HeldError
	if _, err := New(home).Open(t.Context(), cluster, state.Holder{}); !errors.As(err, &held) || held.Holder.Step != "" || held.Holder.PID != os.Getpid() {
		t.Errorf("the second run is told %v", err)
	}
}

// A run that was killed while it began a program leaves the lock to the child
// until that is the program: the next run waits for this instant, and not when
// it is interrupted.
func TestLockOfAChildIsWaitedFor(t *testing.T) {
	home := t.TempDir()
	open(t, home).Close()
	f, err := os.OpenFile(filepath.Join(New(home).Dir(cluster), lockName), os.O_RDWR, 0)
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	over, end := context.WithCancel(t.Context())
	end()
	if _, err := New(home).Open(over, cluster, state.Holder{}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	time.AfterFunc(100*time.Millisecond, func() { f.Close() })
	open(t, home).Close()
}

// Between a take-over and its first word the file still names the dead: then
// nobody is named rather than the wrong one.
func TestNobodyIsNamedForTheDead(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	path := filepath.Join(t.TempDir(), lockName)
	for _, text := range []string{fmt.Sprintf(`{"verb":"up","pid":%d,"host":%q}`, dead.Process.Pid, host), `{"verb":"u`, ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := heldBy(path, cluster).Error(); got != "cluster c.lab.test is held by another run" {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestFileSystemWithoutLocksIsRefused(t *testing.T) {
	for _, fault := range []error{unix.ENOLCK, unix.EOPNOTSUPP} {
		home := t.TempDir()
		store := &Store{home, func(int, int) error { return fault }}
		_, err := store.Open(t.Context(), cluster, state.Holder{})
		if !errors.Is(err, fault) || !strings.Contains(err.Error(), "its file system takes no locks") || !strings.Contains(hint.Of(err), "--home") {
			t.Errorf("error %v, hint %q", err, hint.Of(err))
		}
		if _, err := os.Stat(filepath.Join(store.Dir(cluster), journalName)); err == nil {
			t.Error("a journal was begun without a lock")
		}
	}
}
