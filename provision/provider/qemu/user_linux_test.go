package qemu

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
)

// asUser runs a program as nobody, with a device for taps that all may use, as
// most systems have it.
const asUser = `mknod -m 666 "$1/tun" c 10 200 && mount --bind "$1/tun" /dev/net/tun || exit 77
cd / && HOME=/nonexistent GORACE=atexit_sleep_ms=0 exec setpriv --reuid=65534 --regid=65534 --clear-groups "$1/test" -test.v -test.timeout=2m -test.run="$2"`

// Machines, private networks and bridges of one's own need no rights.
func TestAsOrdinaryUser(t *testing.T) {
	testbed.Root(t, "to become an ordinary user")
	needTaps(t)
	dir := openToAll(t)
	out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", asUser, "sh", dir,
		"^(TestPrivate.*|TestTapsComeAndGoWithMachines|TestMachinesOutlive.*|TestNothingIsLeft|TestCheckNamesADirectoryThatIsReadOnly)$").CombinedOutput()
	if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 77 {
		testbed.Missing(t, "a device for taps that all may use: %s", out)
	}
	if err != nil || strings.Contains(string(out), "--- SKIP") || !strings.Contains(string(out), "--- PASS: TestPrivateNetworkHasAWayOut") {
		t.Errorf("%v\n%s", err, out)
	}
}

// openToAll is a directory with this program in it, test, which everybody may
// run.
func openToAll(t *testing.T) (dir string) {
	t.Helper()
	dir = directoryOf(t)
	test := filepath.Join(dir, "test")
	self, err := os.Executable()
	if err == nil {
		err = copyOnce(self, test)
	}
	if err := errors.Join(err, os.Chmod(dir, 0o755), os.Chmod(test, 0o755)); err != nil {
		t.Fatal(err)
	}
	return dir
}
