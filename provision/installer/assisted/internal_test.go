package assisted

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/provider"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestNetworkConfiguration(t *testing.T) {
	c := installer.Cluster{DNS: []netip.Addr{netip.MustParseAddr("192.0.2.210")}, Hosts: []installer.Host{
		{Node: "control-0", NICs: []installer.HostNIC{
			{MAC: "52:54:00:00:00:01", Address: netip.MustParsePrefix("192.0.2.201/24"), Gateway: netip.MustParseAddr("192.0.2.1"), MTU: 1450},
			{MAC: "52:54:00:00:00:02", Address: netip.MustParsePrefix("2001:db8::201/64"), Gateway: netip.MustParseAddr("2001:db8::1")},
		}},
		{Node: "worker-0", NICs: []installer.HostNIC{{MAC: "52:54:00:00:00:03"}}},
	}}
	networks, err := staticNetworks(c)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, n := range networks {
		macs, err := json.Marshal(n.MACs)
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString("# " + string(macs) + "\n" + n.NetworkYAML)
	}
	const golden = "testdata/nmstate.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("nmstate (-want +got):\n%s", diff)
	}
}

func TestChoose(t *testing.T) {
	offered := []string{"4.19.17", "4.20.3", "4.20.12", "4.20.13-rc.1", "4.20.0-okd-scos.9", "4.20.0-okd-scos.15", "4.21.0-ec.2"}
	for release, want := range map[string]string{
		"ocp-4.20":               "4.20.12",
		"ocp-4.20.3":             "4.20.3",
		"ocp-4.20.13-rc.1":       "4.20.13-rc.1",
		"ocp-4.21":               "", // previews are chosen by their full name only
		"ocp-4.2":                "",
		"okd-4.20":               "4.20.0-okd-scos.15",
		"okd-4.20.0":             "4.20.0-okd-scos.15",
		"okd-4.20.0-okd-scos.9":  "4.20.0-okd-scos.9",
		"okd-4.19":               "",
		"okd-4.20.3":             "",
		"ocp-4.20.0-okd-scos.15": "",
	} {
		if got := choose(release, offered); got != want {
			t.Errorf("choose(%q) = %q, want %q", release, got, want)
		}
	}
}

func TestRefusal(t *testing.T) {
	c := call{method: "POST", path: "/clusters/1/actions/install?x=1", secret: []string{"t0ken"}}
	tests := []struct{ name, body, want string }{
		{"the service's own body", `{"kind":"Error","id":409,"code":"409","href":"","reason":"no"}`, "POST /clusters/1/actions/install: 409: no"},
		{"the schema's body", `{"code":400,"message":"unknown field \"x\""}`, `POST /clusters/1/actions/install: 409: unknown field "x"`},
		{"HTML of a proxy", `<html>secret internals</html>`, "POST /clusters/1/actions/install: 409: Conflict"},
		{"nothing", ``, "POST /clusters/1/actions/install: 409: Conflict"},
		{"a secret that comes back", `{"reason":"bad t0ken"}`, "POST /clusters/1/actions/install: 409: bad (redacted)"},
		{"validations: those that failed, in order of id",
			`{"reason":"Cluster is not ready for installation, insufficient validation_info={\"n\":[{\"id\":\"b\",\"status\":\"failure\",\"message\":\"two\"},{\"id\":\"c\",\"status\":\"success\",\"message\":\"x\"}],\"h\":[{\"id\":\"a\",\"status\":\"failure\",\"message\":\"one\"}]}"}`,
			"POST /clusters/1/actions/install: 409: Cluster is not ready for installation, insufficient; a: one; b: two"},
		{"braces that are no validations", `{"reason":"expected {name}"}`, "POST /clusters/1/actions/install: 409: expected {name}"},
	}
	for _, test := range tests {
		if got := refusal(c, 409, []byte(test.body)).Error(); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

func FuzzRefusal(f *testing.F) {
	f.Add([]byte(`{"reason":"x validation_info={\"n\":[{\"id\":\"b\",\"status\":\"failure\",\"message\":\"two\"}]}"}`))
	f.Add([]byte(`{"code":400,"message":"{"}`))
	f.Add([]byte("<html>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		e := refusal(call{method: "GET", path: "/x", secret: []string{"hunter2"}}, 400, body)
		if len(e.Text) > textLimit || e.Text == "" || !utf8.ValidString(e.Text) || strings.Contains(e.Text, "hunter2") || strings.Contains(e.Text, "\n") {
			t.Errorf("text of %q is %q", body, e.Text)
		}
	})
}

// The service's own rule for tags (pkg/validations of openshift/assisted-service).
var serviceTag = regexp.MustCompile(`^\w+( \w+)*$`)

func FuzzMark(f *testing.F) {
	f.Add("mycluster", "lab.test", "4f2a-77")
	f.Add("a", "b", "_5f_")
	f.Add("a", "b", "")
	f.Fuzz(func(t *testing.T, name, domain, id string) {
		want := provider.Mark{Cluster: name + "." + domain, ID: id}
		for tag := range strings.SplitSeq(tags(want), ",") {
			if !serviceTag.MatchString(tag) {
				t.Errorf("the service refuses tag %q", tag)
			}
		}
		got, ok := markOf(cluster{Name: name, BaseDNSDomain: domain, Tags: "lab," + tags(want)})
		if ok != (id != "") || ok && got != want {
			t.Errorf("markOf(tags(%v)) = %v, %v", want, got, ok)
		}
		got, ok = markOfInfraEnv(infraEnvName(want))
		if ok != (id != "") || ok && got != want {
			t.Errorf("markOfInfraEnv(%q) = %v, %v", infraEnvName(want), got, ok)
		}
	})
}

func FuzzForeignMark(f *testing.F) {
	f.Add("slipway_4f2a-2d77_mycluster.lab.test")
	f.Add("slipway_id_4f2a_2d77")
	f.Add("slipway_id_zz_")
	f.Fuzz(func(t *testing.T, text string) {
		if m, ok := markOfInfraEnv(text); ok && infraEnvName(m) != text {
			t.Errorf("markOfInfraEnv(%q) = %v, which is written %q", text, m, infraEnvName(m))
		}
		if m, ok := markOf(cluster{Tags: text}); ok && !strings.Contains(text, escape(m.ID)) {
			t.Errorf("markOf(%q) = %v", text, m)
		}
	})
}

// The address of a host is the first that its first planned interface has;
// link-local ones and other interfaces (CNI bridges, say) do not count.
func TestAddressOf(t *testing.T) {
	planned := installer.Host{NICs: []installer.HostNIC{{MAC: "02:00:00:00:00:0a"}}}
	for _, tt := range []struct{ name, inventory, want string }{
		{"on the planned interface", `{"interfaces":[{"mac_address":"02:00:00:00:00:09","ipv4_addresses":["198.51.100.1/24"]},{"mac_address":"02:00:00:00:00:0a","ipv4_addresses":["192.0.2.77/24","192.0.2.78/24"]}]}`, "192.0.2.77"},
		{"MAC in capitals", `{"interfaces":[{"mac_address":"02:00:00:00:00:0A","ipv4_addresses":["192.0.2.77/24"]}]}`, "192.0.2.77"},
		{"link-local first", `{"interfaces":[{"mac_address":"02:00:00:00:00:0a","ipv4_addresses":["169.254.3.4/16","192.0.2.77/24"]}]}`, "192.0.2.77"},
		{"no lease yet", `{"interfaces":[{"mac_address":"02:00:00:00:00:0a","ipv4_addresses":[]}]}`, "invalid IP"},
		{"no inventory yet", "", "invalid IP"},
	} {
		if got := addressOf(planned, host{Inventory: tt.inventory}.seen()).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
