package remotetest

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
)

// A VM is such a system with a kernel and systemd, as a virtual machine of
// QEMU without KVM. It takes a minute or several to start.
type VM struct {
	*Debian            // Root is what its disk was made of
	Address netip.Addr // its own
	SSH     net.Addr   // where its sshd is reached from here
	DNS     net.Addr   // and UDP port 53 of Address
}

// BootVM starts one; the end of the test cuts its power.
func BootVM(t testing.TB) *VM {
	t.Helper()
	testbed.Root(t, "to be at home in a Debian")
	testbed.Program(t, "qemu-system-x86_64")
	testbed.Program(t, "mkfs.ext4")
	d := &Debian{t: t, Root: filepath.Join(t.TempDir(), "root")}
	d.overlay(withKernel(t))
	d.admit()
	d.Write("etc/systemd/network/10-slipway.network", network, 0o644)
	d.Write("etc/fstab", "/dev/vda / ext4 defaults 0 1\n", 0o644)
	disk := d.Root + ".img"
	run(t, "mkfs.ext4", "-q", "-F", "-d", d.Root, disk, "1500M")
	vm := &VM{Debian: d, Address: netip.MustParseAddr("192.0.2.210"), SSH: freePort(t, "tcp"), DNS: freePort(t, "udp")}
	vm.start(disk)
	return vm
}

const network = `[Match]
Type=ether
[Network]
Address=192.0.2.210/24
Gateway=192.0.2.2
`

// kernelScript makes a system that boots of one that does not.
const kernelScript = `set -e
mount -t proc proc /proc
trap 'umount /proc' EXIT
cp /etc/apt/sources.list /etc/apt/sources.list.kept
echo "deb $0 bookworm main" >/etc/apt/sources.list
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q --yes --no-install-recommends linux-image-cloud-amd64 systemd-sysv initramfs-tools dbus udev
apt-get clean
mv /etc/apt/sources.list.kept /etc/apt/sources.list
systemctl enable systemd-networkd ssh
`

// withKernel is base with a kernel, in the cache.
func withKernel(t testing.TB) string {
	from := base(t)
	dir := from + "+kernel"
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	next, err := os.MkdirTemp(filepath.Dir(dir), "debian-")
	must(t, err)
	defer os.RemoveAll(next)
	run(t, "cp", "-a", from+"/.", next)
	lendNetwork(t, next, func() { run(t, "chroot", next, "/bin/sh", "-c", kernelScript, testbed.Mirror(t)) })
	must(t, os.Rename(next, dir))
	return dir
}

// start runs the machine in a network of its own, 192.0.2.0/24.
func (vm *VM) start(disk string) {
	serial := vm.Root + "-serial.log"
	forward := func(at net.Addr, port string) string {
		return ",hostfwd=" + at.Network() + ":" + at.String() + "-" + vm.Address.String() + ":" + port
	}
	cmd := exec.Command("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
		"-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
		"-kernel", vm.only("boot/vmlinuz-*"), "-initrd", vm.only("boot/initrd.img-*"),
		"-append", "root=/dev/vda rw console=ttyS0 quiet no_timer_check", // a busy host makes the check of its timer fail
		"-drive", "file="+disk+",if=virtio,format=raw,cache=unsafe",
		"-netdev", "user,id=n,net=192.0.2.0/24,host=192.0.2.2,dns=192.0.2.3,dhcpstart=192.0.2.210"+forward(vm.SSH, "22")+forward(vm.DNS, "53"),
		"-device", "virtio-net-pci,netdev=n", "-device", "virtio-rng-pci", "-serial", "file:"+serial)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	must(vm.t, cmd.Start())
	vm.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if said, err := os.ReadFile(serial); err == nil && vm.t.Failed() {
			vm.t.Logf("the machine says: %s\nqemu says: %s", said[max(0, len(said)-4000):], complaint.String())
		}
	})
}

// only is the path of the one file of the system that matches.
func (vm *VM) only(pattern string) string {
	found, err := filepath.Glob(filepath.Join(vm.Root, pattern))
	must(vm.t, err)
	if len(found) != 1 {
		vm.t.Fatalf("%s: %d files", pattern, len(found))
	}
	return found[0]
}

func freePort(t testing.TB, kind string) net.Addr {
	t.Helper()
	if kind == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		must(t, err)
		must(t, c.Close())
		return c.LocalAddr()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr()
}
