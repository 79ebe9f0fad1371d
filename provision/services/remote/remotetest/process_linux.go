package remotetest

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Listen runs the system's sshd at the address until the system is killed,
// which the end of the test does, with all else that runs in it. The words in enter begin a command line that runs it in
// other namespaces.
func (d *Debian) Listen(at netip.AddrPort, enter ...string) {
	d.t.Helper()
	must(d.t, os.MkdirAll(filepath.Join(d.Root, "run/sshd"), 0o755))
	argv := append(enter, "chroot", d.Root, "/usr/sbin/sshd", "-D", "-e", "-o", "ListenAddress="+at.String(), "-o", "UsePAM=no")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := cmd.StderrPipe()
	must(d.t, err)
	must(d.t, cmd.Start())
	ended := make(chan struct{})
	d.t.Cleanup(func() { d.Kill(); <-ended })
	listening := make(chan struct{})
	go func() {
		defer close(ended)
		await(stderr, "Server listening", listening)
		_ = cmd.Wait()
	}()
	select {
	case <-listening:
	case <-ended:
		d.t.Fatal("sshd has ended at once")
	case <-time.After(20 * time.Second):
		d.t.Fatal("sshd does not listen")
	}
}

// await reads a stream to its end, and closes seen at the first line that has
// the words.
func await(stream io.Reader, words string, seen chan<- struct{}) {
	once := sync.OnceFunc(func() { close(seen) })
	lines := bufio.NewScanner(stream)
	for lines.Scan() {
		if strings.Contains(lines.Text(), words) {
			once()
		}
	}
}

// Kill ends every process of the system at once, as a power failure does, and
// takes what only memory held.
func (d *Debian) Kill() {
	deadline := time.Now().Add(20 * time.Second)
	for left := d.processes(); len(left) > 0; left = d.processes() {
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if time.Now().After(deadline) {
			d.t.Errorf("processes %v of %s do not end", left, d.Root)
			return
		}
	}
	left, _ := filepath.Glob(filepath.Join(d.Root, "run/*"))
	for _, path := range left {
		must(d.t, os.RemoveAll(path))
	}
}

// processes have their root in the system; those that have ended have none.
func (d *Debian) processes() (pids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/root")
	for _, link := range links {
		root, err := os.Readlink(link)
		if pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil && root == d.Root {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Program builds slipway with that version for a services host, and returns
// its path.
func Program(t testing.TB, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "slipway")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w -X main.version="+version, "-o", path, "github.com/slipway-project/slipway/cmd/slipway")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}
