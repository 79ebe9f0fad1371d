package qemu

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asUser runs a program as nobody, with a device for taps that all may use, as
// most systems have it.
const asUser = `mknod -m 666 "$1/tun" c 10 200 && mount --bind "$1/tun" /dev/net/tun || exit 77
cd / && HOME=/nonexistent GORACE=atexit_sleep_ms=0 exec setpriv --reuid=65534 --regid=65534 --clear-groups "$1/test" -test.v -test.timeout=2m -test.run="$2"`

// Machines, private networks and bridges of one's own need no rights.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user runs this already")
	}
	needTaps(t)
	dir := directoryOf(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err == nil {
		err = copyOnce(self, filepath.Join(dir, "test"))
	}
	if err == nil {
		err = os.Chmod(filepath.Join(dir, "test"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", asUser, "sh", dir,
		"^(TestPrivate.*|TestTapsComeAndGoWithMachines|TestMachinesOutlive.*|TestNothingIsLeft|TestCheckNamesAnUnwritableDirectory)$").CombinedOutput()
	if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 77 {
		unlessCI(t, err)
	}
	if err != nil || strings.Contains(string(out), "--- SKIP") || !strings.Contains(string(out), "--- PASS: TestPrivateNetworkHasAWayOut") {
		t.Errorf("%v\n%s", err, out)
	}
}
