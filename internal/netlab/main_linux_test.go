package netlab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/testbed"
)

// A test of namespaces runs in a chain of processes, each this very binary:
// the test itself starts one that is root or an ordinary user, which spawns
// one that is inside. stage says where in the chain a process is.
const (
	stage     = "NETLAB_TEST_STAGE"
	outer     = "outer"
	inner     = "inner"
	forbidden = 77 // exit code: namespaces are
	nobody    = 65534
)

func TestMain(m *testing.M) {
	switch os.Getenv(stage) {
	case outer:
		os.Exit(respawn())
	case inner:
		if err := settle(); err != nil {
			fmt.Println("settle:", err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// respawn runs this binary once more, inside.
func respawn() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), stage+"="+inner)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	wait, err := Spawn(cmd)
	if err != nil {
		fmt.Printf("%v (%s)\n", err, hint.Of(err))
		return forbidden
	}
	if err := wait(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func settle() error {
	dir, err := os.MkdirTemp("", "netlab")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // what is bound stays
	hosts, resolv := filepath.Join(dir, "hosts"), filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(hosts, []byte("198.51.100.10 pve.lab.test\n"), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(resolv, []byte("nameserver 192.0.2.1\n"), 0o644); err != nil {
		return err
	}
	return Settle(hosts, resolv)
}

// inside reports whether the test runs in namespaces of its own. If not, it
// runs the test there, for each kind of user or for those named, and reports
// the results.
func inside(t *testing.T, as ...user) bool {
	t.Helper()
	if os.Getenv(stage) == inner {
		return true
	}
	if len(as) == 0 {
		as = users(t)
	}
	for _, kind := range as {
		t.Run(kind.name, func(t *testing.T) {
			out, err := chain(t, kind.uid, "-test.v", "-test.timeout=1m", "-test.run=^"+outermost(t)+"$").CombinedOutput()
			if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == forbidden {
				testbed.Missing(t, "namespaces: %s", out)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if bytes.Contains(out, []byte("--- SKIP")) {
				testbed.Missing(t, "inside: %s", out)
			}
		})
	}
	return false
}

type user struct {
	name string
	uid  int
}

func users(t *testing.T) []user {
	t.Helper()
	if os.Geteuid() != 0 {
		return []user{{"ordinary user", os.Geteuid()}}
	}
	return []user{{"root", 0}, {"ordinary user", nobody}}
}

func outermost(t *testing.T) string {
	name := t.Name()
	for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
		name = dir
	}
	return name
}

// chain is this binary as a process of the given user that spawns itself.
// /proc/self/exe is used because other users may not look into the directory
// that go test builds in.
func chain(t *testing.T, uid int, args ...string) *exec.Cmd {
	cmd := as(uid, exec.CommandContext(t.Context(), "/proc/self/exe", args...))
	cmd.Env = append(os.Environ(), stage+"="+outer, "GORACE=atexit_sleep_ms=0")
	cmd.Dir = "/"
	return cmd
}

func as(uid int, cmd *exec.Cmd) *exec.Cmd {
	if uid != os.Geteuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	return cmd
}
