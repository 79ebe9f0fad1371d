//go:build rehearse && nightly

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/rehearsal/guest"
	"github.com/slipway-project/slipway/rehearsal/image"
)

// asNobody runs a command line as an ordinary user who may make taps, as users
// of most distributions may; here by a device of its own.
const asNobody = `set -e
mknod "$0/tun" c 10 200
chmod 666 "$0/tun"
mount --bind "$0/tun" /dev/net/tun
cd "$0/user"
exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
`

// An ordinary user rehearses with a virtual machine that has its address by
// DHCP: packages, namespaces, taps, all without root.
func TestRehearseMachinesAsOrdinaryUser(t *testing.T) {
	text, err := os.ReadFile(exampleOf("sno"))
	if err != nil {
		t.Fatal(err)
	}
	spec := strings.Replace(string(text), `addresses = "192.0.2.201"`, `addresses = "dhcp"`, 1)
	report := rehearseAsNobody(t, spec, "rehearse", "--machines", "qemu", "-f", specOfNobody)
	wantReady(t, report, "control-0")
	if report.Nodes[0].Address == "192.0.2.201" {
		t.Error("the address is not one that DHCP gives")
	}
}

// An ordinary user makes a private network with machines in it, by the command of
// docs/providers/qemu.md, inside of the namespaces that a rehearsal is in.
func TestRehearsePrivateNetworkAsOrdinaryUser(t *testing.T) {
	text, err := os.ReadFile(laptopSpec)
	if err != nil {
		t.Fatal(err)
	}
	args := tryIt(t, "rehearse")
	args[slices.Index(args, laptopSpec)] = specOfNobody
	began := time.Now()
	wantReady(t, rehearseAsNobody(t, string(text), args...), plannedNodes(t, laptopSpec)...)
	t.Logf("Ready and gone after %.0f s", time.Since(began).Seconds())
}

// specOfNobody is where their spec is.
const specOfNobody = "cluster.hcl"

// rehearseAsNobody rehearses a spec as user nobody, in a directory of theirs.
func rehearseAsNobody(t *testing.T, spec string, args ...string) rehearsalReport {
	t.Helper()
	needMachines(t)
	testbed.Root(t, "to become an ordinary user")
	dir, err := os.MkdirTemp("/tmp", "slipway-nobody-") // short, and open to all
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	user := filepath.Join(dir, "user")
	for _, err := range []error{
		os.Chmod(dir, 0o755), os.Mkdir(user, 0o755), os.Chown(user, 65534, 65534),
		os.WriteFile(filepath.Join(user, specOfNobody), []byte(spec), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	as := []string{"--mount", "sh", "-c", asNobody, dir, slipway(t)}
	cmd := exec.Command("unshare", slices.Concat(as, args, []string{"-o", "json"})...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + user}
	return rehearse(t, cmd)
}

// Machines that boot by UEFI go from the ISO to their disks and become a
// cluster, each with variables of its own.
func TestRehearseMachinesByUEFI(t *testing.T) {
	needMachines(t)
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	const endpoint = `endpoint = "https://pve.lan:8006"`
	spec := filepath.Join(t.TempDir(), "cluster.hcl")
	if err := os.WriteFile(spec, []byte(strings.Replace(string(text), endpoint, endpoint+"\n  firmware = \"uefi\"", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w := startWorld(t, "rehearse", "world", "--machines", "qemu", "-f", spec)
	w.up(t, spec)
	t.Logf("Ready after %.0f s", time.Since(began).Seconds())
	w.guestsAgree(t)
	variables := map[string]bool{}
	for name, pid := range w.emulators(t) {
		args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(args), "if=pflash,unit=1,")
		own, _, _ := strings.Cut(rest, "\x00")
		if own == "" || variables[own] {
			t.Errorf("%s has the variables %q", name, own)
		}
		variables[own] = true
	}
	w.goneAfterDown(t, spec)
}

// A machine without a CD boots by the PXE ROM of its network device: DHCP, a
// script by TFTP, kernel, initramfs and the discovery ISO. The installer
// discovers it as any other, by the UUID and MAC of the plan.
func TestRehearseMachinesByPXE(t *testing.T) {
	needMachines(t)
	spec := filepath.Join(t.TempDir(), "cluster.hcl")
	text, err := os.ReadFile(exampleOf("sno"))
	if err == nil {
		err = os.WriteFile(spec, []byte(strings.Replace(string(text), `addresses = "192.0.2.201"`, `addresses = "dhcp"`, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := startWorld(t, "rehearse", "world", "--machines", "qemu", "-f", spec)
	w.killedAt(t, "image:after-done", "up", spec)
	began := time.Now()
	v := w.machineOfPlan(t, spec)
	powerOff := w.netboots(t, v)
	w.discovers(t, v)
	t.Logf("discovered after %.0f s", time.Since(began).Seconds())
	powerOff()
	w.goneAfterDown(t, spec)
}

// machineOfPlan is a machine with identity and hardware of the spec's only one.
func (w *testWorld) machineOfPlan(t *testing.T, spec string) qemu.VM {
	t.Helper()
	var plan struct {
		Changes []struct {
			Node struct {
				UUID uuid.UUID
				MAC  string
			}
		}
	}
	if err := json.Unmarshal([]byte(w.must(t, "plan", "-f", spec, "-o", "json")), &plan); err != nil {
		t.Fatal(err)
	}
	const name = "control-0.single.lab.test"
	for _, c := range plan.Changes {
		if mac, err := net.ParseMAC(c.Node.MAC); err == nil {
			return blankMachine(t, name, c.Node.UUID, mac)
		}
	}
	t.Fatalf("no machine is planned: %+v", plan)
	return qemu.VM{}
}

func blankMachine(t *testing.T, name string, id uuid.UUID, mac net.HardwareAddr) qemu.VM {
	t.Helper()
	v := qemu.VM{Name: name, UUID: id, CPUs: 1, Memory: 512, Accel: qemu.TCG, Dir: t.TempDir(), NICs: []qemu.NIC{{MAC: mac}},
		Mark: guest.Spec{Name: name, CPUs: 8, Memory: 32 << 10, Disk: 250, Boot: []string{"disk", "cd"}}.OEMString()}
	v.Disks = []qemu.Disk{{Path: filepath.Join(v.Dir, "disk.raw"), Format: "raw"}}
	if err := errors.Join(os.WriteFile(v.Disks[0].Path, nil, 0o600), os.Truncate(v.Disks[0].Path, guest.DiskSize)); err != nil {
		t.Fatal(err)
	}
	return v
}

// netboots starts v inside, with nothing to boot from but its network, which
// is QEMU's own: DHCP and TFTP, and NAT to the installer.
func (w *testWorld) netboots(t *testing.T, v qemu.VM) (powerOff func()) {
	t.Helper()
	served := map[string]string{
		image.Kernel: filepath.Join(w.dir, "image", image.Kernel), image.Initramfs: filepath.Join(w.dir, "image", image.Initramfs),
		"discovery.iso": w.storedISO(t),
	}
	tftp := t.TempDir()
	script := fmt.Sprintf("#!ipxe\nkernel %s %s\ninitrd %s\ninitrd discovery.iso %s\nboot\n", image.Kernel, image.CommandLine, image.Initramfs, guest.NetbootISO)
	err := os.WriteFile(filepath.Join(tftp, "boot.ipxe"), []byte(script), 0o600)
	for name, from := range served {
		err = errors.Join(err, os.Symlink(from, filepath.Join(tftp, name)))
	}
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{qemu.Program}, v.Args()...)
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "user,id=net0"):
			args[i] += ",tftp=" + tftp + ",bootfile=boot.ipxe"
		case strings.HasPrefix(arg, "virtio-net-pci,"):
			args[i] = strings.Replace(arg, "romfile=", "bootindex=3", 1)
		}
	}
	cmd := w.command(args...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	powerOff = sync.OnceFunc(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	t.Cleanup(powerOff)
	return powerOff
}

// storedISO is the discovery ISO that up has stored at the hypervisor.
func (w *testWorld) storedISO(t *testing.T) (path string) {
	t.Helper()
	err := filepath.WalkDir(w.dir, func(p string, _ fs.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(p), "slipway-") && strings.HasSuffix(p, ".iso") {
			path = p
		}
		return err
	})
	if err != nil || path == "" {
		t.Fatalf("no image is stored: %v", err)
	}
	return path
}

// discovers waits until the installer has seen v's hardware.
func (w *testWorld) discovers(t *testing.T, v qemu.VM) {
	t.Helper()
	const service = "http://192.0.2.9:8090/api/assisted-install/v2/infra-envs"
	var envs []struct{ ID string }
	if err := json.Unmarshal([]byte(w.run(t, "curl", "-s", service)), &envs); err != nil || len(envs) != 1 {
		t.Fatalf("infra envs %v, %v", envs, err)
	}
	said := ""
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); <-time.After(time.Second) {
		said = w.run(t, "curl", "-s", service+"/"+envs[0].ID+"/hosts")
		var hosts []struct{ ID, Status, Inventory string }
		if err := json.Unmarshal([]byte(said), &hosts); err == nil && len(hosts) == 1 && hosts[0].ID == v.UUID.String() &&
			slices.Contains([]string{"known", "insufficient"}, hosts[0].Status) && strings.Contains(hosts[0].Inventory, v.NICs[0].MAC.String()) {
			return
		}
	}
	console, _ := os.ReadFile(v.Serial())
	t.Fatalf("hosts: %s\nconsole: %s", said, console)
}
