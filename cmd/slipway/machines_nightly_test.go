//go:build rehearse && nightly

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
	needMachines(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become an ordinary user")
	}
	text, err := os.ReadFile(exampleOf("sno"))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "slipway-nobody-") // short, and open to all
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	user := filepath.Join(dir, "user")
	spec := strings.Replace(string(text), `addresses = "192.0.2.201"`, `addresses = "dhcp"`, 1)
	for _, err := range []error{
		os.Chmod(dir, 0o755), os.Mkdir(user, 0o755), os.Chown(user, 65534, 65534),
		os.WriteFile(filepath.Join(user, "cluster.hcl"), []byte(spec), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("unshare", "--mount", "sh", "-c", asNobody, dir, slipway(t), "rehearse", "--machines", "qemu", "-o", "json")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + user}
	report := rehearse(t, cmd)
	wantReady(t, report, "control-0")
	if report.Nodes[0].Address == "192.0.2.201" {
		t.Error("the address is not one that DHCP gives")
	}
}
