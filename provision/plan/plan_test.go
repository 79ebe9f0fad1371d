package plan

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

var sameAddrPort = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

var update = flag.Bool("update", false, "rewrite the golden files")

func TestGolden(t *testing.T) {
	c, dhcp := cluster(3, 2), byDHCP(cluster(3, 2))
	located := byDHCP(c)
	located.Nodes[0].Address = netip.MustParseAddr("10.0.0.31")
	learned := building(located)
	learned.Learned = map[string]netip.Addr{"control-0": located.Nodes[0].Address}
	var explained Plan
	c.Defaults = []spec.Default{{Of: `machines "control": cpus`, Value: "8", Why: "OpenShift asks 4 of a control plane node, and etcd likes more"}}
	c.Defaults[0].At.Filename, c.Defaults[0].At.Start.Line = "cluster.hcl", 34
	explained = Make(c, served(c), half(c))
	explained.Explain = Explain(c, explained)
	for name, p := range map[string]Plan{
		"nothing_exists":   Make(c, served(c), Observed{}),
		"all_exists":       Make(c, served(c), whole(c)),
		"half_exists":      explained,
		"adopt":            Make(c, served(c), Observed{Machines: whole(c).Machines, Services: true, Registered: true}),
		"drift":            Make(c, served(c), drifted(c)),
		"extra":            Make(c, served(c), strange(c)),
		"vanished":         Make(c, served(c), building(c).change("worker-0", nil)),
		"vanished_ready":   Make(c, served(c), whole(c).change("worker-0", nil)),
		"dhcp_unknown":     Make(dhcp, served(dhcp), Observed{}),
		"dhcp_learned":     Make(dhcp, served(located), learned),
		"single_node":      Make(cluster(1, 0), served(cluster(1, 0)), Observed{}),
		"three_and_ten":    Make(cluster(3, 10), served(cluster(3, 10)), whole(cluster(3, 10))),
		"services_machine": explainedOf(withMachine(c)),
		"teardown_all":     Teardown(full, whole(c)),
		"teardown_half":    Teardown(full, half(c)),
		"teardown_nothing": Teardown(full, Observed{}),
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, p) })
	}
}

// golden leaves the digests out: they follow every field of the spec.
func golden(t *testing.T, name string, p Plan) {
	t.Helper()
	p.Spec, p.World = "", ""
	got, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	compareFile(t, filepath.Join("testdata", name+".golden"), append(got, '\n'))
}

func compareFile(t *testing.T, path string, got []byte) {
	t.Helper()
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
		t.Errorf("%s differs, -update rewrites it (-want +got):\n%s", path, diff)
	}
}

func TestSummary(t *testing.T) {
	c := cluster(3, 2)
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
		{"half exists", Make(c, served(c), half(c)), true, "4 to create, 1 to adopt, 1 to update, 3 to keep"},
		{"all exists, the state is lost", Make(c, served(c), lost), true, "5 to adopt, 3 to keep"},
		{"all exists, somebody changed it", Make(c, served(c), drifted(c)), true, "3 to update, 5 to keep"},
		{"more exists than the spec has", Make(c, served(c), strange(c)), false, "8 to keep, 2 extra, 1 gone"},
		{"a machine of a Ready cluster is gone", Make(c, served(c), whole(c).change("worker-1", nil)), true, "7 to keep, 1 refused"},
		{"all is torn down", Teardown(full, whole(c)), true, "9 to delete"},
		{"nothing is left", Teardown(full, Observed{}), false, "nothing to do"},
	} {
		if got := tt.plan.Summary(); got != tt.want || tt.plan.Changed() != tt.changed {
			t.Errorf("%s: %q, changed %v; want %q, %v", tt.world, got, tt.plan.Changed(), tt.want, tt.changed)
		}
	}
}

// A cluster runs the release of the spec, another one of its minor if the spec
// names no patch, or one that nobody here makes of it.
func TestReleaseDrift(t *testing.T) {
	for _, tt := range []struct{ spec, runs, write string }{
		{"okd-4.20", "4.20.0-okd-scos.3", ""},
		{"ocp-4.20", "4.20.13", ""},
		{"ocp-4.20.3", "4.20.3", ""},
		{"ocp-4.20", "", ""},
		{"ocp-4.2", "4.20.3", "ocp-4.20"},
		{"ocp-4.20", "4.21.0-rc.1", "ocp-4.21"},
		{"ocp-4.20.3", "4.20.13", "ocp-4.20.13"},
		{"ocp-4.20.1", "4.20.13", "ocp-4.20.13"},
		{"okd-4.20.0-okd-scos.3", "4.20.0-okd-scos.30", "okd-4.20.0-okd-scos.30"},
	} {
		c := cluster(3, 0)
		c.Release = tt.spec
		o := whole(c)
		o.Release = tt.runs
		done := Make(c, served(c), o).Changes
		got := done[len(done)-1]
		var want []Drift
		if tt.write != "" {
			want = []Drift{{What: "release is " + tt.runs + ", the spec says " + tt.spec, Why: "`up` upgrades no cluster: use `oc adm upgrade`, or write release = \"" + tt.write + "\""}}
		}
		if diff := cmp.Diff(want, got.Drift); diff != "" || got.Kind != Cluster || got.Action != Keep {
			t.Errorf("%s, running %q: %s of the %s (-want +got):\n%s", tt.spec, tt.runs, got.Action, got.Kind, diff)
		}
		o.Installed = false
		if built := Make(c, served(c), o).Changes; built[len(built)-1].Drift != nil {
			t.Errorf("%s, running %q and not whole: %+v", tt.spec, tt.runs, built[len(built)-1].Drift)
		}
	}
}

func TestPlanSurvivesJSON(t *testing.T) {
	c := cluster(3, 2)
	for name, o := range map[string]Observed{"half": half(c), "drifted": drifted(c), "strange": strange(c)} {
		want := Make(byDHCP(c), served(c), o)
		want.Explain = Explain(c, want)
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Plan
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, sameAddrPort); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The services machine is none of the cluster's nodes: it is made whenever it
// is not there, and neither extra nor repaired like one.
func TestServicesMachine(t *testing.T) {
	c := withMachine(cluster(3, 2))
	there := whole(c).serves(c)
	small := there.change("services", func(m *provider.Machine) { m.Disk = 3 })
	other := there.change("services", func(m *provider.Machine) { m.Disk, m.CPUs, m.Adrift = 40, 8, []string{"it was renamed"} })
	other.Repairs = true
	lost := whole(c).serves(c)
	delete(lost.Recorded, "services")
	const stays = "a services machine stays as it was made: remove it in the provider, and `slipway up` makes another"
	for _, tt := range []struct {
		world  string
		seen   Observed
		action Action
		reason string
		drift  []Drift
	}{
		{"it is not there", Observed{}, Create, "", nil},
		{"it is there", there, Keep, "", nil},
		{"it is there, and no state", lost, Adopt, "it carries the cluster's mark, and no state here knows it", nil},
		{"it is gone from a cluster that was Ready", there.change("services", nil), Create, "the state knows it, and it is gone from the provider", nil},
		{"a run was killed before its disk had grown", small, Update, "its disk is smaller than the spec says", []Drift{{What: "disk (GiB) is 3, the spec says 20", Repairs: true}}},
		{"it was made otherwise", other, Keep, "", []Drift{{What: "cpus is 8, the spec says 2", Why: stays}, {What: "it was renamed", Why: stays}, {What: "disk (GiB) is 40, the spec says 20", Why: "disks do not shrink"}}},
	} {
		p := Make(c, served(c), tt.seen)
		var got []Change
		for _, change := range p.Changes {
			if change.Name == "services."+full {
				got = append(got, change)
			}
		}
		if len(got) != 1 || got[0].Action != tt.action || got[0].Reason != tt.reason || p.Count(Extra)+p.Count(Gone)+p.Count(Refuse) != 0 {
			t.Errorf("%s: %+v, all: %s", tt.world, got, p.Summary())
			continue
		}
		if diff := cmp.Diff(tt.drift, got[0].Drift); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.world, diff)
		}
	}
	c.Services.Mode, c.Services.Machine = spec.ServicesLocal, nil
	if p := Make(c, served(c), there); p.Count(Extra) != 1 {
		t.Errorf("of a spec that has no such machine any more: %s", p.Summary())
	}
	var gone []string
	there.Disk = true
	for _, change := range Teardown(full, there).Changes {
		gone = append(gone, string(change.Kind)+" "+change.Name)
	}
	want := []string{"cluster " + full, "machine worker-1." + full, "machine worker-0." + full, "machine services." + full, "machine control-2." + full,
		"machine control-1." + full, "machine control-0." + full, "image services." + full, "image " + full, "registration " + full, "services " + full}
	if diff := cmp.Diff(want, gone); diff != "" {
		t.Errorf("teardown (-want +got):\n%s", diff)
	}
}

// explainedOf is the explained plan for c where there is nothing.
func explainedOf(c spec.Cluster) Plan {
	p := Make(c, served(c), Observed{})
	p.Explain = Explain(c, p)
	return p
}
