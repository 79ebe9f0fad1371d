//go:build rehearse && nightly

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
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
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become an ordinary user")
	}
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
