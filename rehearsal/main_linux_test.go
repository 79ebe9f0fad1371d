package rehearsal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/internal/testbed"
)

// stage says what this binary is when tests run it again: a World (serve), a
// process that spawns itself (outer), or the tests inside (inner).
const stage = "REHEARSAL_TEST_STAGE"

func TestMain(m *testing.M) {
	switch os.Getenv(stage) {
	case "serve":
		os.Exit(serve())
	case "outer":
		os.Exit(respawn())
	}
	goleak.VerifyTestMain(m)
}

func serve() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := Serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

const forbidden = 77 // exit code: no namespaces here

func respawn() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), stage+"=inner")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	wait, err := netlab.Spawn(cmd)
	if err != nil {
		fmt.Printf("%v (%s)\n", err, hint.Of(err))
		return forbidden
	}
	if err := wait(); err != nil {
		return 1
	}
	return 0
}

// inside reports whether the test runs in namespaces of its own; if not, it
// runs it there, as root and as an ordinary user, and reports the results.
func inside(t *testing.T) bool {
	if os.Getenv(stage) == "inner" {
		return true
	}
	for name, uid := range users() {
		t.Run(name, func(t *testing.T) {
			out, err := again(t, uid, "outer", "-test.v", "-test.timeout=1m", "-test.run=^"+filepath.Dir(t.Name())+"$").CombinedOutput()
			exit := new(exec.ExitError)
			switch {
			case errors.As(err, &exit) && exit.ExitCode() == forbidden:
				testbed.Missing(t, "namespaces: %s", out)
			case err == nil && bytes.Contains(out, []byte("--- SKIP")):
				testbed.Missing(t, "inside: %s", out)
			case err != nil || !bytes.Contains(out, []byte("--- PASS")):
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
	return false
}

func users() map[string]int {
	if os.Geteuid() != 0 {
		return map[string]int{"ordinary user": os.Geteuid()}
	}
	return map[string]int{"root": 0, "ordinary user": 65534}
}

// again is this binary as a process of another user. /proc/self/exe is used
// because nobody else may look into the directory that go test builds in.
func again(t *testing.T, uid int, as string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), stage+"="+as, "GORACE=atexit_sleep_ms=0")
	cmd.Dir = "/"
	if uid != os.Geteuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	return cmd
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
