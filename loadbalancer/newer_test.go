//go:build servers

package loadbalancer

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
)

// What is written for haproxy and how it is led holds for newer ones: that of
// another Debian, which debootstrap leaves in the cache. The tests about it run
// once more in there.
func TestNewerHAProxy(t *testing.T) {
	const tests = "HasNothingToSay|CheckQuotes|Reload|Killed|Adopt|Member|Bootstrap|Draining|BusyPort|Unchanged|HealthSocket|LeftOut|FiveDeaths"
	root := testbed.Debian(t, "-trixie+haproxy", "trixie", []string{"haproxy"}, nil)
	version, err := exec.Command("chroot", root, "haproxy", "-v").Output()
	if err != nil {
		t.Fatalf("%v: %s", err, version)
	}
	text := enter(t, root, "-test.v", "-test.run="+tests, "-test.skip=Newer|Embedded|/embedded")
	passed := regexp.MustCompile(`(?m)^--- PASS`).FindAllString(text, -1)
	if len(passed) < 15 || strings.Contains(text, "--- SKIP") {
		t.Errorf("%d tests ran:\n%s", len(passed), text)
	}
	name, _, _ := strings.Cut(string(version), "\n")
	t.Logf("%d tests passed with %s", len(passed), name)
}

// enter runs this test binary in another system, at the directory of the
// package. Its mounts end with it.
func enter(t *testing.T, root string, args ...string) string {
	t.Helper()
	const mounts = `for dir in proc dev tmp; do mount --rbind /$dir "$0/$dir" || exit; done
		mount --bind "$PWD" "$0/mnt" && touch "$0/srv/test" && mount --bind "$1" "$0/srv/test" && shift &&
		exec chroot "$0" sh -c 'cd /mnt && exec /srv/test "$@"' sh "$@"`
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"-m", "sh", "-c", mounts, root, self}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "CI=" + os.Getenv("CI")}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}
