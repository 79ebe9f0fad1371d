//go:build rehearse

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// privateSpec is a cluster of provider qemu in a network of its own, behind
// this host; its installer is the World's.
const privateSpec = `
provider "qemu" "here" {
  dir     = "machines"
  network = "private"
  accel   = "tcg"
}
network "lan" {
  bridge  = "br0"
  cidr    = "203.0.113.0/24"
  gateway = "203.0.113.1"
}
cluster "solo" {
  domain  = "lab.test"
  release = "okd-4.20"
  installer "assisted" { endpoint = "http://192.0.2.9:8090" }
  services { address = "203.0.113.210" }
  machines "control" {
    count     = 1
    addresses = "dhcp"
  }
}
`

// A cluster in a private network has its services there, on their real ports,
// survives the run that made it, is reached from inside by every verb and from
// outside at an address of the loopback network, and leaves nothing.
func TestRehearsePrivateNetwork(t *testing.T) {
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("qemu-system-x86_64 is not installed")
	}
	w := openTestWorld(t, example)
	delete(w.ready.Env, "SLIPWAY_OVERRIDE")
	dir := t.TempDir()
	path := filepath.Join(dir, "cluster.hcl")
	if err := os.WriteFile(path, []byte(privateSpec), 0o600); err != nil {
		t.Fatal(err)
	}
	up := w.slipway(t, "up", "--yes", "-f", path)
	up.Env = append(up.Env, "SLIPWAY_CRASH=services:after-done")
	out, err := up.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "private network: 203.0.113.210:6443 is 127.77.") {
		t.Fatalf("up, killed once the services are there: %v\n%s", err, out)
	}
	if got := w.must(t, "status", "-f", path); !strings.Contains(got, "Services:  serving") {
		t.Errorf("status: %s", got)
	}
	if got := w.must(t, "plan", "-f", path); !strings.Contains(got, "services") {
		t.Errorf("plan: %s", got)
	}
	if got := w.must(t, "dns", "check", "-f", path); strings.Contains(got, "WRONG") {
		t.Errorf("dns check: %s", got)
	}
	_, rest, _ := strings.Cut(string(out), "203.0.113.210:6443 is ")
	host, port, _ := strings.Cut(strings.Fields(rest)[0], ":")
	if got := w.run(t, "bash", "-c", "exec 3<>/dev/tcp/"+host+"/"+port+" && echo connected"); got != "connected\n" {
		t.Errorf("the API's port on %s: %q", host, got)
	}
	w.must(t, "down", "--yes", "-f", path)
	w.noResidue(t)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("beside the spec is left: %v, %v", left, err)
	}
}
