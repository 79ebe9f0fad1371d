package spec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func defaultsOf(t *testing.T, text string) []string {
	t.Helper()
	s, diags, _ := load(t, text)
	if s == nil {
		t.Fatal(said(diags))
	}
	var list []string
	for _, d := range s.Clusters[0].Defaults {
		list = append(list, fmt.Sprintf("%s = %s: %s (%d)", d.Of, d.Value, d.Why, d.At.Start.Line))
	}
	return list
}

func TestDefaultsAreListedWithTheReason(t *testing.T) {
	want := []string{
		`network "lan": bridge = "vmbr0": that is the first bridge of a Proxmox VE host (2)`,
		`network "lan": vlan = none: frames are untagged (2)`,
		`network "lan": mtu = none: the bridge's own holds (2)`,
		`network "lan": upstream = ["192.0.2.1"]: most routers answer DNS, and the gateway is one (2)`,
		`cluster "mycluster": provider = "home": it is the only provider block (7)`,
		`cluster "mycluster": network = "lan": it is the only network block (7)`,
		"cluster \"mycluster\": ttl = none: a cluster lives until `slipway down` (7)",
		"cluster \"mycluster\": protect = false: `slipway down` asks before it destroys (7)",
		`cluster "mycluster": ssh user = "core": that is the user of CoreOS images (7)`,
		"cluster \"mycluster\": services mode = \"local\": DNS and load balancer run on the host of `slipway up` (12)",
		`cluster "mycluster": services dns mode = "embedded": slipway answers for the cluster's names itself (12)`,
		`cluster "mycluster": services load_balancer mode = "auto": haproxy serves where it is found, else slipway itself (12)`,
		`machines "control": role = "control-plane": its label is control (13)`,
		`machines "control": cpus = 8: the least for a control plane node is 4 vCPU (13)`,
		`machines "control": memory = "16GiB": the least for a control plane node is 16 GiB (13)`,
		`machines "control": disk = "250GiB": the least for a control plane node is 94 GiB (13)`,
		`machines "control": network = "lan": it is the cluster's (13)`,
		`machines "control": addresses = "192.0.2.211-213": they are the first free ones after the services address (13)`,
		`machines "control": macs = ["02:f3:81:2e:f3:22", "02:c9:a3:ad:61:61", "02:f1:e5:00:5e:e9"]: they follow from the full names, so that they are known before anything exists (13)`,
		`machines "control": spread = "node": a hypervisor node that fails then takes as few nodes along as can be (13)`,
	}
	got := defaultsOf(t, valid)
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" || len(got) != len(want)+8 {
		t.Errorf("%d defaults (-want +got):\n%s", len(got), diff)
	}
}

// What is written is no default.
func TestWhatIsWrittenIsNoDefault(t *testing.T) {
	text := strings.NewReplacer(`  machines "control" { count = 3 }`, `  machines "control" {
    role      = "control-plane"
    cpus      = 8
    memory    = "16GiB"
    disk      = "250GiB"
    network   = "lan"
    addresses = "192.0.2.201-203"
    macs      = ["52:54:00:ab:cd:01", "52:54:00:ab:cd:02", "52:54:00:ab:cd:03"]
    spread    = "node"
  }
  ttl     = "8h"
  protect = false
  ssh { user = "core" }
  check "a" {
    get    = "https://a.lab.test"
    status = 200
    within = "10m"
  }`, `  machines "worker" { count = 2 }`, "").Replace(valid)
	want := []string{`machines "control": count = 3: so many addresses are listed (13)`}
	var got []string
	for _, line := range defaultsOf(t, text) {
		if strings.HasPrefix(line, "machines") || strings.HasPrefix(line, "check") || strings.Contains(line, ": ttl") || strings.Contains(line, ": protect") || strings.Contains(line, ": ssh") {
			got = append(got, line)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLargeBlocksAreSummarized(t *testing.T) {
	text := strings.NewReplacer("192.0.2.0/24", "10.0.0.0/16", `192.0.2.1"`, `10.0.0.1"`, "192.0.2.210", "10.0.0.250", "{ count = 2 }", "{ count = 20 }").Replace(valid)
	all := strings.Join(defaultsOf(t, text), "\n")
	for _, want := range []string{`machines "worker": addresses = "10.0.0.254-10.0.1.17"`, `] and 17 more: they follow`} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in\n%s", want, all)
		}
	}
}
