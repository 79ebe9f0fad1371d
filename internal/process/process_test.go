package process

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/testbed"
)

// sleeper starts a child that waits, in a group of its own, deaf to SIGTERM if
// asked to be. It has answered, so that it is what it is going to be.
func sleeper(t *testing.T, deaf bool) ID {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		testbed.Missing(t, "/proc of Linux: %v", err)
	}
	script := "exec cat -u"
	if deaf {
		script = "trap '' TERM; " + script
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := in.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestEnd(t *testing.T) {
	for name, deaf := range map[string]bool{"by SIGTERM": false, "deaf to SIGTERM": true} {
		t.Run(name, func(t *testing.T) {
			id := sleeper(t, deaf)
			if !id.Alive() || !id.Leads() {
				t.Fatalf("alive %t, leads %t", id.Alive(), id.Leads())
			}
			if err := id.End(t.Context(), 100*time.Millisecond); err != nil || id.Alive() {
				t.Errorf("alive %t, %v", id.Alive(), err)
			}
			if err := id.End(t.Context(), time.Second); err != nil {
				t.Errorf("to end what is gone: %v", err)
			}
		})
	}
}

func TestAnotherProcessWithTheNumberIsLeftAlone(t *testing.T) {
	id := sleeper(t, false)
	other := ID{id.PID, id.Start + "0"}
	if err := other.End(context.Background(), time.Second); err != nil || other.Alive() || other.Args() != nil {
		t.Errorf("%v, alive %t, %q", err, other.Alive(), other.Args())
	}
	if !id.Alive() {
		t.Error("the wrong process was ended")
	}
}

func TestList(t *testing.T) {
	id := sleeper(t, false)
	var args []string
	found, err := List(func(a []string) bool {
		if slices.Equal(a, []string{"cat", "-u"}) {
			args = a
			return true
		}
		return false
	})
	if err != nil || !slices.Contains(found, id) || args == nil {
		t.Errorf("found %v, %v; want %v", found, err, id)
	}
}

func TestSignalNeverMeansEverybody(t *testing.T) {
	for _, target := range []int{0, -1} {
		if err := Signal(target, syscall.SIGTERM); err == nil {
			t.Errorf("signal to %d", target)
		}
	}
}
