package plan

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/spec"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const full = "mycluster.lab.test"

// example is the cluster of examples/proxmox-ha.
func example(t *testing.T) spec.Cluster {
	t.Helper()
	s, diags, _ := spec.Load([]string{"../../examples/proxmox-ha/cluster.hcl"}, spec.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return s.Clusters[0]
}

// served is what the services of c will serve.
func served(c spec.Cluster) services.Document {
	v := services.View{Name: c.Name, Domain: c.Domain, Services: c.Services.Address, Network: c.Network.CIDR, Serial: 1}
	for _, n := range c.Nodes {
		v.Nodes = append(v.Nodes, services.Node{Name: n.Name, Full: n.Full, ControlPlane: n.Role == spec.ControlPlane, Address: n.Address})
	}
	return services.Build(v)
}

// machine is the one that exists for n, as planned.
func machine(n spec.Node, id string) provider.Machine {
	return provider.Machine{
		Node: n.Name, Name: n.Full, Mark: provider.Mark{Cluster: full, ID: "c1"}, ID: id, Place: "pve",
		UUID: n.UUID, NICs: []provider.NIC{{MAC: n.MAC}}, CPUs: n.CPUs, Memory: n.Memory, Disk: n.Disk,
	}
}

// whole is a world in which everything of c exists; the machines are listed
// backwards, for no order may depend on the provider's.
func whole(c spec.Cluster) Observed {
	o := Observed{Recorded: map[string]bool{}, Services: true, Registered: true, Image: true, Installed: true}
	for i, n := range c.Nodes {
		o.Recorded[n.Name] = true
		o.Machines = append(o.Machines, machine(n, string(rune('5'+i))))
	}
	slices.Reverse(o.Machines)
	return o
}

// half is a world in which a run was interrupted, its state lost in part, and
// somebody changed things since.
func half(c spec.Cluster) Observed {
	drifted, stray := machine(c.Nodes[1], "101"), machine(c.Nodes[4], "109")
	drifted.Memory, drifted.Adrift = 8192, []string{"network card removed"}
	drifted.NICs = nil
	stray.Node, stray.Name, stray.UUID = "worker-7", "worker-7."+full, uuid.Max
	return Observed{
		Machines: []provider.Machine{stray, drifted, machine(c.Nodes[0], "100"), machine(c.Nodes[4], "104"), machine(c.Nodes[2], "102")},
		Recorded: map[string]bool{"control-0": true, "control-1": true, "control-2": true},
		Services: true, Registered: true,
	}
}

func TestGolden(t *testing.T) {
	c := example(t)
	for name, p := range map[string]Plan{
		"nothing_exists": Make(c, served(c), Observed{}),
		"all_exists":     Make(c, served(c), whole(c)),
		"half_exists":    Make(c, served(c), half(c)),
		"down_all":       Teardown(full, whole(c)),
		"down_half":      Teardown(full, half(c)),
		"down_nothing":   Teardown(full, Observed{}),
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, p) })
	}
}

func golden(t *testing.T, name string, p Plan) {
	t.Helper()
	got, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("plan differs (-want +got):\n%s", diff)
	}
}

func TestSummary(t *testing.T) {
	c := example(t)
	lost := whole(c)
	lost.Recorded = nil
	for _, tt := range []struct {
		world   string
		plan    Plan
		changed bool
		want    string
	}{
		{"nothing exists", Make(c, served(c), Observed{}), true, "9 to create"},
		{"all exists", Make(c, served(c), whole(c)), false, "8 to keep"},
		{"half exists", Make(c, served(c), half(c)), true, "3 to create, 1 to adopt, 6 to keep"},
		{"all exists, the state is lost", Make(c, served(c), lost), true, "5 to adopt, 3 to keep"},
		{"all is torn down", Teardown(full, whole(c)), true, "9 to delete"},
		{"nothing is left", Teardown(full, Observed{}), false, "nothing to do"},
	} {
		if got := tt.plan.Summary(); got != tt.want || tt.plan.Changed() != tt.changed {
			t.Errorf("%s: %q, changed %v; want %q, %v", tt.world, got, tt.plan.Changed(), tt.want, tt.changed)
		}
	}
}

func TestPlanSurvivesJSON(t *testing.T) {
	want := Make(example(t), served(example(t)), half(example(t)))
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Plan
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
