package remotetest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/internal/testbed"
)

// User may log in to a [Debian], and sudo there without a password.
const User = "admin"

// A Debian is the root of a Debian system, for as long as a test takes. It has
// no init system of its own: systemctl is a script that does with one unit what
// the unit says.
type Debian struct {
	Root    string     // path
	Key     ssh.Signer // of User
	KeyFile string     // path of the same
	HostKey string     // of the system, as in known_hosts
	t       testing.TB
}

// Boot lays a root over the one in the cache, until the test ends. It needs
// root.
func Boot(t testing.TB) *Debian {
	t.Helper()
	testbed.Root(t, "to be at home in a Debian")
	d := &Debian{t: t, Root: filepath.Join(t.TempDir(), "root")}
	d.overlay(base(t))
	d.mount()
	d.Write("usr/local/sbin/systemctl", initScript, 0o755)
	d.admit()
	t.Cleanup(func() {
		if said, err := os.ReadFile(filepath.Join(d.Root, "run/unit.log")); err == nil && t.Failed() {
			t.Logf("the unit in %s says: %s", d.Root, said)
		}
	})
	return d
}

// overlay lays the root over base, which stays as it is.
func (d *Debian) overlay(base string) {
	upper, work := d.Root+"-upper", d.Root+"-work"
	for _, dir := range []string{d.Root, upper, work} {
		must(d.t, os.MkdirAll(dir, 0o755))
	}
	must(d.t, syscall.Mount("overlay", d.Root, "overlay", 0, "lowerdir="+base+",upperdir="+upper+",workdir="+work))
	d.t.Cleanup(func() { must(d.t, syscall.Unmount(d.Root, syscall.MNT_DETACH)) })
}

func (d *Debian) mount() {
	for target, kind := range map[string]string{"proc": "proc", "dev/shm": "tmpfs", "run": "tmpfs"} {
		path := filepath.Join(d.Root, target)
		must(d.t, os.MkdirAll(path, 0o755))
		must(d.t, syscall.Mount(kind, path, kind, 0, ""))
		d.t.Cleanup(func() { must(d.t, syscall.Unmount(path, syscall.MNT_DETACH)) })
	}
}

// initScript stands in for systemd, which is not running here.
const initScript = `#!/bin/sh
for unit; do :; done
file=/etc/systemd/system/$unit
stop() { [ -s /run/unit.pid ] && kill "$(cat /run/unit.pid)" && while kill -0 "$(cat /run/unit.pid)" 2>/dev/null; do sleep 0.1; done; rm -f /run/unit.pid; }
case "$1" in
start) [ -s /run/unit.pid ] && kill -0 "$(cat /run/unit.pid)" 2>/dev/null && exit 0 ;;
restart) stop ;;
disable) stop; exit 0 ;;
mask) ln -sf /dev/null "$file"; exit 0 ;;
unmask) rm -f "$file"; exit 0 ;;
*) exit 0 ;;
esac
command=$(sed -n s/^ExecStart=//p "$file")
setsid $command >>/run/unit.log 2>&1 </dev/null &
echo $! >/run/unit.pid
`

// admit gives the system a user that may use sudo, and a key.
func (d *Debian) admit() {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(d.t, err)
	d.Key, err = ssh.NewSignerFromKey(private)
	must(d.t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(d.t, err)
	d.KeyFile = d.Root + "-key"
	must(d.t, os.WriteFile(d.KeyFile, pem.EncodeToMemory(block), 0o600))
	run(d.t, "chroot", d.Root, "useradd", "-p", "*", "-m", "-s", "/bin/sh", User)
	d.Write("etc/sudoers.d/admin", User+" ALL=(ALL) NOPASSWD: ALL\n", 0o440)
	d.Write("home/"+User+"/.ssh/authorized_keys", string(ssh.MarshalAuthorizedKey(d.Key.PublicKey())), 0o600)
	run(d.t, "chroot", d.Root, "chown", "-R", User+":", "/home/"+User+"/.ssh")
	host, err := os.ReadFile(filepath.Join(d.Root, "etc/ssh/ssh_host_ed25519_key.pub"))
	must(d.t, err)
	d.HostKey = strings.TrimSpace(string(host))
}

// Write replaces a file of the system; name has no leading slash.
func (d *Debian) Write(name, text string, mode os.FileMode) {
	d.t.Helper()
	path := filepath.Join(d.Root, name)
	must(d.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(d.t, os.WriteFile(path, []byte(text), mode))
}

// Changed lists what an installation would leave in the places it touches.
func (d *Debian) Changed() (left []string) {
	d.t.Helper()
	for _, pattern := range []string{"etc/slipway*", "etc/slipway/*", "usr/local/libexec/*", "etc/systemd/system/slipway*",
		"etc/systemd/system/haproxy*", "usr/sbin/haproxy", "run/slipway*"} {
		found, err := filepath.Glob(filepath.Join(d.Root, pattern))
		must(d.t, err)
		for _, path := range found {
			left = append(left, strings.TrimPrefix(path, d.Root+"/"))
		}
	}
	return left
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
