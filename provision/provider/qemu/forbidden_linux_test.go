package qemu

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/provision/provider"
)

// forbiddenVariable says that this process may make no namespaces.
const forbiddenVariable = "SLIPWAY_QEMU_TEST_FORBIDDEN"

// asForbidden runs a program as nobody where user namespaces are forbidden,
// which the sysctl is for the user namespace it is written in.
const asForbidden = `echo 0 >/proc/sys/user/max_user_namespaces || exit 77
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$1/test" -test.v -test.timeout=1m -test.run="$2"`

// An ordinary user whose system forbids namespaces is told so by preflight,
// and the command that allows them.
func TestCheckSaysWhatForbidsPrivateNetworks(t *testing.T) {
	if os.Getenv(forbiddenVariable) != "" {
		refusedWithAWayOut(t)
		return
	}
	testbed.Root(t, "to become an ordinary user whose namespaces are forbidden")
	dir := openToAll(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", asForbidden, "sh", dir, "^"+t.Name()+"$")
	cmd.Dir, cmd.Env = "/", append(os.Environ(), forbiddenVariable+"=1", impatient)
	everybody := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: everybody, GidMappings: everybody, GidMappingsEnableSetgroups: true}
	out, err := cmd.CombinedOutput()
	if exit, ok := err.(*exec.ExitError); !ok && err != nil || ok && exit.ExitCode() == 77 {
		testbed.Missing(t, "a user namespace with a limit of its own: %v: %s", err, out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}

func refusedWithAWayOut(t *testing.T) {
	t.Helper()
	s := new(survey)
	checkPrivate(s)
	const advice = "allow user namespaces with 'sudo sysctl user.max_user_namespaces=15000', or run the same command with sudo"
	if len(s.problems) == 0 || !s.problems[0].Fatal || s.problems[0].Hint != advice ||
		!strings.HasPrefix(s.problems[0].What, "a private network needs namespaces: start ") {
		t.Errorf("problems %+v", s.problems)
	}
}

func TestCheckNamesADirectoryThatIsReadOnly(t *testing.T) {
	if !inside(t) {
		return
	}
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(dir, 0)
	p := opened(t, dir)
	sameProblems(t, []string{"fatal: machines cannot be kept in " + dir + ": read-only file system"}, p.Check(within(t), provider.Request{}))
}
