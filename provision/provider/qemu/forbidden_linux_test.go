package qemu

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
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
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become an ordinary user whose namespaces are forbidden")
	}
	dir := directoryOf(t)
	self, err := os.Executable()
	if err == nil {
		err = copyOnce(self, filepath.Join(dir, "test"))
	}
	for _, path := range []string{dir, filepath.Join(dir, "test")} {
		if err == nil {
			err = os.Chmod(path, 0o755)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", asForbidden, "sh", dir, "^"+t.Name()+"$")
	cmd.Dir, cmd.Env = "/", append(os.Environ(), forbiddenVariable+"=1", impatient)
	everybody := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: everybody, GidMappings: everybody, GidMappingsEnableSetgroups: true}
	out, err := cmd.CombinedOutput()
	if exit, ok := err.(*exec.ExitError); !ok && err != nil || ok && exit.ExitCode() == 77 {
		unlessCI(t, err)
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
