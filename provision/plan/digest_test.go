package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

const written = `secret "pve" {
  env = "TOKEN"
}
provider "proxmox" "home" {
  endpoint = "https://pve.lab.test:8006"
  token    = secret.pve
}
network "lan" {
  cidr    = "192.0.2.0/24"
  gateway = "192.0.2.1"
}
cluster "mycluster" {
  domain  = "lab.test"
  release = "okd-4.20"
  installer "assisted" { endpoint = "http://192.0.2.9:8090" }
  services { address = "192.0.2.210" }
  machines "control" { count = 3 }
  machines "worker" { count = 2 }
}
`

func digestOf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cluster.hcl")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s, diags, _ := spec.Load([]string{path}, spec.Options{LookupEnv: func(string) (string, bool) { return "hunter2", true }})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return specDigest(s.Clusters[0])
}

// What a spec means is digested, not how or where it is written.
func TestSpecDigest(t *testing.T) {
	want := digestOf(t, written)
	for _, tt := range []struct {
		name, old, new string
		same           bool
	}{
		{"nothing", "", "", true},
		{"a comment above all", "secret \"pve\"", "# ours\n\nsecret \"pve\"", true},
		{"an expression of the same value", "count = 3", "count = 2 + 1", true},
		{"a default written out", `cidr    = "192.0.2.0/24"`, "bridge = \"vmbr0\"\n  cidr = \"192.0.2.0/24\"", true},
		{"more nodes", "count = 2", "count = 3", false},
		{"another release", "okd-4.20", "okd-4.21", false},
		{"another provider endpoint", "pve.lab.test", "pve2.lab.test", false},
		{"another installer endpoint", "192.0.2.9", "192.0.2.8", false},
		{"another source of the token", `"TOKEN"`, `"OTHER"`, false},
		{"another bridge", `cidr    = "192.0.2.0/24"`, "bridge = \"vmbr1\"\n  cidr = \"192.0.2.0/24\"", false},
	} {
		if got := digestOf(t, strings.Replace(written, tt.old, tt.new, 1)); (got == want) != tt.same {
			t.Errorf("%s: same digest %v, want %v", tt.name, got == want, tt.same)
		}
	}
}

func TestWorldDigest(t *testing.T) {
	c := cluster(3, 2)
	want := whole(c).digest()
	off := whole(c).change("worker-0", func(m *provider.Machine) { m.Power, m.Media = provider.PowerOff, "local:iso/x.iso" })
	if off.digest() != want {
		t.Error("a machine that was switched off makes another world")
	}
	unserved := whole(c)
	unserved.Served = nil
	for name, o := range map[string]Observed{
		"a machine less": whole(c).change("worker-0", nil), "a machine moved": whole(c).change("worker-0", func(m *provider.Machine) { m.Place = "pve2" }),
		"not installed": building(c), "services without a document": unserved, "strangers": strange(c), "nothing": {},
	} {
		if o.digest() == want {
			t.Errorf("%s: the same digest", name)
		}
	}
}
