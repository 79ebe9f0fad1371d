package view

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/slipway-project/slipway/provision/plan"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// shown has one of each thing that a plan can say.
func shown() plan.Plan {
	node := func(name string) *plan.Node {
		return &plan.Node{Name: name, Role: "worker", CPUs: 8, Memory: 16384, Disk: 250, Address: "192.0.2.204",
			MAC: "52:54:00:12:34:56", UUID: "0dc9a1b4-4703-5fc4-820d-11c0e4d95fc7", ID: "20004", Place: "pve"}
	}
	dhcp, learned, created := node("worker-1"), node("worker-2"), node("worker-0")
	dhcp.DHCP, dhcp.Address, dhcp.ID, dhcp.Place = true, "", "", ""
	learned.DHCP = true
	created.ID, created.Place = "", ""
	stray := &plan.Node{Name: "worker-7", CPUs: 2, Memory: 2048, Disk: 20, UUID: node("").UUID, ID: "20007", Place: "pve2"}
	return plan.Plan{Version: 1, Cluster: "mycluster.lab.test", Spec: "sha256:1", World: "sha256:2",
		Changes: []plan.Change{
			{Action: plan.Update, Kind: plan.Services, Name: "mycluster.lab.test", Detail: "DNS and load balancer at 192.0.2.210", Reason: "they serve something else than the spec says",
				Drift: []plan.Drift{{What: "frontend api is missing", Repairs: true}}},
			{Action: plan.Create, Kind: plan.Machine, Name: "worker-0.mycluster.lab.test", Node: created},
			{Action: plan.Adopt, Kind: plan.Machine, Name: "worker-1.mycluster.lab.test", Node: dhcp, Reason: "no state here knows it"},
			{Action: plan.Keep, Kind: plan.Machine, Name: "worker-2.mycluster.lab.test", Node: learned,
				Drift: []plan.Drift{{What: "disk (GiB) is 120, the spec says 250", Why: "not in place"}}},
			{Action: plan.Extra, Kind: plan.Machine, Name: "worker-7.mycluster.lab.test", Node: stray, Reason: "the spec has no such node", Next: "`slipway down` removes it"},
			{Action: plan.Gone, Kind: plan.Machine, Name: "worker-8.mycluster.lab.test", Reason: "neither provider nor spec have it"},
			{Action: plan.Refuse, Kind: plan.Machine, Name: "worker-9.mycluster.lab.test", Node: created, Reason: "the node is new", Next: "run `slipway down`"},
			{Action: plan.Delete, Kind: plan.Image, Name: "mycluster.lab.test", Detail: "boot image"},
		},
		Reservations: []plan.Reservation{{Node: "worker-1", MAC: dhcp.MAC, Hostname: "worker-1.mycluster.lab.test"},
			{Node: "worker-2", MAC: dhcp.MAC, Hostname: "worker-2.mycluster.lab.test", Address: "192.0.2.204"}},
		Records:   []plan.Record{{Name: "api.mycluster.lab.test.", Type: "A", Data: "192.0.2.210"}, {Name: "210.2.0.192.in-addr.arpa.", Type: "PTR", Data: "api.mycluster.lab.test."}},
		Frontends: []plan.Frontend{{Name: "api", Bind: netip.MustParseAddrPort("192.0.2.210:6443"), Nodes: []string{"control-0", "control-1"}}},
		Explain: []plan.Explanation{
			{About: plan.AboutDefault, Of: `machines "control": cpus`, Value: "8", Why: "OpenShift asks 4", At: "cluster.hcl:34"},
			{About: plan.AboutDefault, Of: `machines "control": disk`, Value: `"250GiB"`, Why: "images take 100", At: "cluster.hcl:34"},
			{About: plan.AboutDefault, Of: `network "lan": bridge`, Value: `"vmbr0"`, Why: "Proxmox VE makes it", At: "cluster.hcl:9"},
			{About: plan.AboutChange, Of: "machine worker-0.mycluster.lab.test", Value: "create", Does: "makes the machine", Why: "nothing of it was found"},
			{About: plan.AboutChange, Of: "machine worker-1.mycluster.lab.test", Value: "create", Does: "makes the machine", Why: "nothing of it was found"},
			{About: plan.AboutChange, Of: "cluster mycluster.lab.test", Value: "create", Does: "installs it", Why: "nothing of it was found"},
		},
	}
}

func TestPlanForms(t *testing.T) {
	for _, form := range PlanForms {
		t.Run(form, func(t *testing.T) {
			var got bytes.Buffer
			if err := PlanAs(&got, form, shown()); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "plan."+form)
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if err := PlanAs(&bytes.Buffer{}, "toml", shown()); err == nil || err.Error() != `output "toml" is none of table, wide, json, yaml, name` {
		t.Error(err)
	}
}

// A plan without anything to remark has no hole where remarks would be.
func TestPlainPlan(t *testing.T) {
	var got bytes.Buffer
	p := plan.Plan{Cluster: "mycluster.lab.test", Changes: shown().Changes[1:2], Records: shown().Records[:1]}
	if err := Plan(&got, p); err != nil {
		t.Fatal(err)
	}
	want := `Plan for mycluster.lab.test

   WHAT     NAME                         DETAIL
+  machine  worker-0.mycluster.lab.test  192.0.2.204  8 vCPU  16384 MiB  250 GiB

DNS                      TYPE  DATA
api.mycluster.lab.test.  A     192.0.2.210

1 to create.
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The YAML form is the JSON form, whoever reads it.
func TestPlanYAMLIsJSON(t *testing.T) {
	var asJSON, asYAML bytes.Buffer
	if err := PlanAs(&asJSON, "json", shown()); err != nil {
		t.Fatal(err)
	}
	if err := PlanAs(&asYAML, "yaml", shown()); err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := yaml.Unmarshal(asJSON.Bytes(), &want); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(asYAML.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-JSON +YAML):\n%s", diff)
	}
}
