//go:build servers

package remote

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// A debian is the root of a Debian system whose sshd runs, in the place of a
// services host. It has no init system of its own: systemctl is a script that
// runs what the unit says.
type debian struct {
	t    *testing.T
	root string
	at   netip.AddrPort
	key  ssh.Signer
	host string // host key, as in known_hosts
}

const user = "admin"

// bootDebian makes the system, from the cache where one lies, and starts sshd.
func bootDebian(t *testing.T) *debian {
	t.Helper()
	if os.Geteuid() != 0 {
		without(t, "a Debian root needs root")
	}
	d := &debian{t: t, root: filepath.Join(t.TempDir(), "root")}
	d.mount(base(t))
	d.prepare()
	d.startSSH()
	t.Cleanup(func() {
		if said, err := os.ReadFile(filepath.Join(d.root, "run/unit.log")); err == nil && t.Failed() {
			t.Logf("the unit says: %s", said)
		}
	})
	return d
}

// base is a small Debian in the cache.
func base(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("SLIPWAY_TEST_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		must(t, err)
		cache = filepath.Join(dir, "slipway-test")
	}
	dir := filepath.Join(cache, "debian-services")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if _, err := exec.LookPath("debootstrap"); err != nil {
		without(t, "debootstrap is not installed")
	}
	must(t, os.MkdirAll(cache, 0o755))
	next, err := os.MkdirTemp(cache, "debian-")
	must(t, err)
	defer os.RemoveAll(next)
	run(t, "debootstrap", "--variant=minbase", "--include=openssh-server,systemd,iproute2,sudo", "bookworm", next, mirror(t))
	must(t, os.Chmod(next, 0o755))
	must(t, os.Rename(next, dir))
	return dir
}

// mirror is where this system gets its own packages.
func mirror(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").Output()
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil || first == "" {
		without(t, fmt.Sprintf("no Debian archive is configured here: %v", err))
	}
	return strings.TrimSuffix(first, "/")
}

// mount lays a root over base, so that base stays as it is.
func (d *debian) mount(base string) {
	upper, work := d.root+"-upper", d.root+"-work"
	for _, dir := range []string{d.root, upper, work} {
		must(d.t, os.MkdirAll(dir, 0o755))
	}
	must(d.t, syscall.Mount("overlay", d.root, "overlay", 0, "lowerdir="+base+",upperdir="+upper+",workdir="+work))
	d.t.Cleanup(func() { must(d.t, syscall.Unmount(d.root, syscall.MNT_DETACH)) })
	for target, kind := range map[string]string{"proc": "proc", "dev/shm": "tmpfs", "run": "tmpfs"} {
		path := filepath.Join(d.root, target)
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

// prepare gives the system a user that may use sudo, and our key.
func (d *debian) prepare() {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(d.t, err)
	d.key, err = ssh.NewSignerFromKey(private)
	must(d.t, err)
	d.write("usr/local/sbin/systemctl", initScript, 0o755)
	run(d.t, "chroot", d.root, "useradd", "-p", "*", "-m", "-s", "/bin/sh", user)
	d.write("etc/sudoers.d/admin", user+" ALL=(ALL) NOPASSWD: ALL\n", 0o440)
	d.write("home/"+user+"/.ssh/authorized_keys", string(ssh.MarshalAuthorizedKey(d.key.PublicKey())), 0o600)
	run(d.t, "chroot", d.root, "chown", "-R", user+":", "/home/"+user+"/.ssh")
	resolv, err := os.ReadFile("/etc/resolv.conf")
	must(d.t, err)
	d.write("etc/resolv.conf", string(resolv), 0o644)
	hosts, err := os.ReadFile("/etc/hosts")
	must(d.t, err)
	d.write("etc/hosts", string(hosts), 0o644)
	sources, _ := filepath.Glob("/etc/apt/apt.conf.d/*proxy*")
	for _, path := range append(sources, "/etc/apt/sources.list") {
		if text, err := os.ReadFile(path); err == nil {
			d.write(path[1:], string(text), 0o644)
		}
	}
	must(d.t, os.MkdirAll(filepath.Join(d.root, "run/sshd"), 0o755))
	host, err := os.ReadFile(filepath.Join(d.root, "etc/ssh/ssh_host_ed25519_key.pub"))
	must(d.t, err)
	d.host = string(host)
}

func (d *debian) write(name, text string, mode os.FileMode) {
	d.t.Helper()
	path := filepath.Join(d.root, name)
	must(d.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(d.t, os.WriteFile(path, []byte(text), mode))
}

// startSSH runs sshd on a free port until the test ends.
func (d *debian) startSSH() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(d.t, err)
	d.at = l.Addr().(*net.TCPAddr).AddrPort()
	must(d.t, l.Close())
	cmd := exec.Command("chroot", d.root, "/usr/sbin/sshd", "-D", "-e", "-o", "ListenAddress="+d.at.String(), "-o", "UsePAM=no")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	pipe, err := cmd.StderrPipe()
	must(d.t, err)
	must(d.t, cmd.Start())
	d.t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
	listening := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(pipe)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "Server listening") {
				close(listening)
			}
		}
	}()
	select {
	case <-listening:
	case <-time.After(20 * time.Second):
		d.t.Fatal("sshd does not listen")
	}
}

// target is how the system is reached.
func (d *debian) target() Target {
	return Target{Host: d.at.Addr().String(), Port: d.at.Port(), User: user, Signers: []ssh.Signer{d.key}, HostKey: d.host}
}

// changed lists what differs from base in the places that an installation
// touches.
func (d *debian) changed() []string {
	d.t.Helper()
	var left []string
	for _, dir := range []string{"etc/slipway", "usr/local/libexec", "etc/systemd/system/slipway*", "etc/systemd/system/haproxy*", "usr/sbin/haproxy", "run/slipway*"} {
		found, err := filepath.Glob(filepath.Join(d.root, dir, "*"))
		must(d.t, err)
		self, err := filepath.Glob(filepath.Join(d.root, dir))
		must(d.t, err)
		for _, path := range append(found, self...) {
			if rel := strings.TrimPrefix(path, d.root+"/"); rel != "usr/local/libexec" {
				left = append(left, rel)
			}
		}
	}
	return left
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// without skips a test that lacks something; in CI that is a failure.
func without(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
