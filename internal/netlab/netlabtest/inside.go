// Package netlabtest runs tests in network namespaces of their own.
package netlabtest

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/internal/testbed"
)

// Variable is in the environment of processes that are inside.
const Variable = "SLIPWAY_TEST_INSIDE"

// IsInside reports whether this process is inside: TestMain may have something
// to prepare there.
func IsInside() bool { return os.Getenv(Variable) != "" }

// Inside reports whether a test, no subtest, runs in namespaces of its own,
// where it is root and may make links. If not, it runs there, in this very
// program once more, with env besides the environment; its result is that of
// this test.
func Inside(t *testing.T, env ...string) bool {
	t.Helper()
	if IsInside() {
		return true
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v", "-test.timeout=2m", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(append(os.Environ(), Variable+"=1"), env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	wait, err := netlab.Spawn(cmd)
	if err != nil {
		testbed.Missing(t, "namespaces: %v (%s)", err, hint.Of(err))
	}
	if err := wait(); err != nil || !strings.Contains(out.String(), "--- ") {
		t.Fatalf("inside: %v\n%s", err, &out)
	}
	if strings.Contains(out.String(), "--- SKIP") {
		testbed.Missing(t, "inside: %s", &out)
	}
	return false
}
