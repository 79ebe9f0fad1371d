package spec

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The values are those of the first release: a change loses every machine.
func TestIdentityNeverChanges(t *testing.T) {
	s, _, _ := load(t, valid)
	var got []string
	for _, n := range s.Clusters[0].Nodes {
		got = append(got, n.Full+" "+n.MAC.String()+" "+n.UUID.String())
	}
	want := []string{
		"control-0.mycluster.lab.test 02:f3:81:2e:f3:22 0dc9a1b4-4703-5fc4-820d-11c0e4d95fc7",
		"control-1.mycluster.lab.test 02:c9:a3:ad:61:61 895a413a-3469-544c-9814-62c70efac3f6",
		"control-2.mycluster.lab.test 02:f1:e5:00:5e:e9 866e79a5-ce99-5ce9-b930-597134cfcfb4",
		"worker-0.mycluster.lab.test 02:8b:e8:50:9c:12 aba30b4f-8fb0-5032-998b-5c0433913f3c",
		"worker-1.mycluster.lab.test 02:23:43:46:bd:6c 0b51758b-15fa-5746-89cf-467ffd124c35",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAddresses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edits []edit
		want  []string
	}{
		{"none written: the first after the services, control plane first",
			[]edit{{`machines "control" { count = 3 }`, ``}, {`machines "worker" { count = 2 }`, "machines \"worker\" { count = 2 }\n  machines \"control\" { count = 3 }"}},
			[]string{"192.0.2.211", "192.0.2.212", "192.0.2.213", "192.0.2.214", "192.0.2.215"}},
		{"what is written elsewhere is not allotted",
			[]edit{{`{ count = 2 }`, `{ addresses = ["192.0.2.212", "192.0.2.220"] }`}},
			[]string{"192.0.2.211", "192.0.2.213", "192.0.2.214", "192.0.2.212", "192.0.2.220"}},
		{"the gateway is not allotted",
			[]edit{{`gateway = "192.0.2.1"`, `gateway = "192.0.2.212"`}},
			[]string{"192.0.2.211", "192.0.2.213", "192.0.2.214", "192.0.2.215", "192.0.2.216"}},
		{"services outside of the network: from its beginning",
			[]edit{{`192.0.2.210`, `198.51.100.210`}},
			[]string{"192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"}},
		{"ranges over a border, and lists of ranges",
			[]edit{{`192.0.2.0/24`, `192.0.2.0/23`}, {`{ count = 3 }`, `{ addresses = "192.0.2.255-192.0.3.1" }`}, {`{ count = 2 }`, `{ addresses = ["192.0.3.7-7", "192.0.3.9"] }`}},
			[]string{"192.0.2.255", "192.0.3.0", "192.0.3.1", "192.0.3.7", "192.0.3.9"}},
		{"computed",
			[]edit{{`{ count = 2 }`, `{ addresses = [for i in range(2) : cidrhost("192.0.2.0/24", 30 + i)] }`}},
			[]string{"192.0.2.211", "192.0.2.212", "192.0.2.213", "192.0.2.30", "192.0.2.31"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, diags, _ := load(t, edited(t, tt.edits))
			if diags.HasErrors() {
				t.Fatal(said(diags))
			}
			var got []string
			for _, n := range s.Clusters[0].Nodes {
				got = append(got, n.Address.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBroadcast(t *testing.T) {
	for cidr, want := range map[string]string{
		"192.0.2.0/24": "192.0.2.255", "192.0.2.0/29": "192.0.2.7", "192.0.2.128/25": "192.0.2.255",
		"10.0.0.0/8": "10.255.255.255", "192.0.0.0/22": "192.0.3.255",
	} {
		n := Network{CIDR: netip.MustParsePrefix(cidr)}
		if got := n.broadcast().String(); got != want {
			t.Errorf("broadcast of %s is %s, want %s", cidr, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, tt := range []struct {
		text, unit string
		want       int
	}{
		{"16GiB", "MiB", 16384}, {"16384MiB", "MiB", 16384}, {"1 TiB", "GiB", 1024}, {"250GiB", "GiB", 250},
		{"1536MiB", "GiB", 0}, {"0GiB", "GiB", 0}, {"16GB", "MiB", 0}, {"-1GiB", "MiB", 0}, {"999999999TiB", "MiB", 0},
	} {
		if got, ok := parseSize(tt.text, tt.unit); ok != (tt.want > 0) || ok && got != tt.want {
			t.Errorf("%q in %s is %d, %v; want %d", tt.text, tt.unit, got, ok, tt.want)
		}
	}
}
