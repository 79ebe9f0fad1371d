package spec

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
)

// nodes loads the valid spec with other workers, and more before it, and
// returns the workers as "name address cpus/memory network spread labels".
func workers(t *testing.T, more, block string) []string {
	t.Helper()
	s, diags, _ := load(t, more+strings.Replace(valid, `  machines "worker" { count = 2 }`, block, 1))
	if s == nil || len(diags) > 0 {
		t.Fatal(said(diags))
	}
	var list []string
	for _, n := range s.Clusters[0].Nodes {
		if n.Role == Worker {
			list = append(list, strings.TrimSpace(fmt.Sprintf("%s %s %d/%d %s %s %s", n.Name, n.Address, n.CPUs, n.Memory>>10, n.Network.Label, n.Spread, tags(n.Labels))))
		}
	}
	return list
}

func tags(labels map[string]string) string {
	var list []string
	for _, key := range sorted(labels) {
		list = append(list, key+"="+labels[key])
	}
	return strings.Join(list, ",")
}

func TestMachines(t *testing.T) {
	for _, tt := range []struct {
		name, block string
		want        []string
	}{
		{"a map is worked out for each node", "machines \"worker\" {\n for_each = { b = \"192.0.2.9\", a = \"192.0.2.8\" }\n addresses = each.value\n labels = { \"example.net/rack\" = each.key }\n}",
			[]string{"worker-a 192.0.2.8 8/16 lan node example.net/rack=a", "worker-b 192.0.2.9 8/16 lan node example.net/rack=b"}},
		{"an object has values of several types", "machines \"worker\" {\n for_each = { big = { cpus = 16, address = \"192.0.2.8\" }, small = { cpus = 4, address = \"192.0.2.9\" } }\n cpus = each.value.cpus\n addresses = [each.value.address]\n}",
			[]string{"worker-big 192.0.2.8 16/16 lan node", "worker-small 192.0.2.9 4/16 lan node"}},
		{"a set names nodes, addresses are allotted", "machines \"worker\" { for_each = toset([\"y\", \"x\"]) }",
			[]string{"worker-x 192.0.2.214 8/16 lan node", "worker-y 192.0.2.215 8/16 lan node"}},
		{"a list stands beside the keys, in their order", "machines \"worker\" {\n for_each = toset([\"y\", \"x\"])\n addresses = \"192.0.2.8-9\"\n}",
			[]string{"worker-x 192.0.2.8 8/16 lan node", "worker-y 192.0.2.9 8/16 lan node"}},
		{"count has an index", "machines \"worker\" {\n count = 2\n memory = \"${16 * (count.index + 1)}GiB\"\n addresses = cidrhost(\"192.0.2.0/24\", 20 + count.index)\n}",
			[]string{"worker-0 192.0.2.20 8/16 lan node", "worker-1 192.0.2.21 8/32 lan node"}},
		{"an empty map makes no nodes", "machines \"worker\" { for_each = {} }", nil},
		{"DHCP by one switch", "machines \"worker\" {\n for_each = { a = \"192.0.2.8\", b = \"dhcp\" }\n addresses = each.value\n}",
			[]string{"worker-a 192.0.2.8 8/16 lan node", "worker-b invalid IP 8/16 lan node"}},
		{"as many as MACs", "machines \"worker\" {\n addresses = \"dhcp\"\n macs = [\"52:54:00:ab:cd:01\"]\n spread = \"none\"\n}",
			[]string{"worker-0 invalid IP 8/16 lan none"}},
		{"roles may vary, too", "machines \"worker\" {\n for_each = { a = \"worker\", b = \"worker\" }\n role = each.value\n}",
			[]string{"worker-a 192.0.2.214 8/16 lan node", "worker-b 192.0.2.215 8/16 lan node"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, workers(t, "", tt.block)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

const dmz = "network \"dmz\" {\n  cidr    = \"198.51.100.0/24\"\n  gateway = \"198.51.100.1\"\n}\n"

func TestSeveralNetworks(t *testing.T) {
	text := dmz + strings.Replace(valid, "  domain  ", "  network     = \"lan\"\n  domain  ", 1)
	text = strings.Replace(text, `machines "worker" { count = 2 }`, "machines \"worker\" {\n count = 2\n network = \"dmz\"\n}\nmachines \"extra\" { count = 1 }", 1)
	s, diags, _ := load(t, text)
	if s == nil || len(diags) > 0 {
		t.Fatal(said(diags))
	}
	var got []string
	for _, n := range s.Clusters[0].Nodes {
		got = append(got, fmt.Sprintf("%s %s %s", n.Name, n.Network.Label, n.Address))
	}
	want := []string{"control-0 lan 192.0.2.211", "control-1 lan 192.0.2.212", "control-2 lan 192.0.2.213",
		"worker-0 dmz 198.51.100.2", "worker-1 dmz 198.51.100.3", "extra-0 lan 192.0.2.214"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDHCPNeedsNoGateway(t *testing.T) {
	text := strings.NewReplacer("  gateway = \"192.0.2.1\"\n", "  upstream = [\"192.0.2.53\"]\n",
		"{ count = 3 }", "{\n count = 3\n addresses = \"dhcp\"\n}", "{ count = 2 }", "{\n count = 2\n addresses = \"dhcp\"\n}").Replace(valid)
	s, diags, _ := load(t, text)
	if s == nil || len(diags) > 0 {
		t.Fatal(said(diags))
	}
	for _, n := range s.Clusters[0].Nodes {
		if !n.DHCP() || n.MAC == nil {
			t.Errorf("%+v", n)
		}
	}
}

func TestClusterAttributes(t *testing.T) {
	text := strings.Replace(valid, "  domain  ", "  ttl         = \"1d12h\"\n  protect     = true\n  domain  ", 1)
	text = strings.Replace(text, "  services {", "  check \"console\" {\n    get    = \"https://console.apps.${self.fqdn}/${self.name}.${self.domain}\"\n    status = 302\n    within = \"1h\"\n  }\n  check \"api\" { get = \"http://api.${self.fqdn}\" }\n  services {", 1)
	s, diags, _ := load(t, text)
	if s == nil || len(diags) > 0 {
		t.Fatal(said(diags))
	}
	c := s.Clusters[0]
	for i := range c.Checks {
		c.Checks[i].Range = hcl.Range{}
	}
	want := []Check{
		{Label: "console", Get: "https://console.apps.mycluster.lab.test/mycluster.lab.test", Status: 302, Within: time.Hour},
		{Label: "api", Get: "http://api.mycluster.lab.test", Status: 200, Within: 10 * time.Minute},
	}
	if diff := cmp.Diff(want, c.Checks); diff != "" || c.TTL != 36*time.Hour || !c.Protect {
		t.Errorf("ttl %s, protect %t, checks (-want +got):\n%s", c.TTL, c.Protect, diff)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"8h": 8 * time.Hour, "7d": 7 * 24 * time.Hour, "1d30m": 24*time.Hour + 30*time.Minute, "90s": 90 * time.Second} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s is %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "1d-1h", "8", "1h2d", "99999999d", "1dd", "soon"} {
		if got, err := parseDuration(text); err == nil && got > 0 && got <= maxDuration {
			t.Errorf("%q is %s", text, got)
		}
	}
}

func TestNodeLabels(t *testing.T) {
	for key, good := range map[string]bool{
		"rack": true, "example.net/rack": true, "topology.kubernetes.io/zone": true, "node.kubernetes.io/class": true, "a_b.c-d": true,
		"kubernetes.io/hostname": false, "node-role.kubernetes.io/infra": false, "node.openshift.io/os_id": true, "k8s.io/x": false, "node-restriction.kubernetes.io/x": false,
		"": false, "/rack": false, "Example.net/rack": false, "a/b/c": false, "-rack": false, strings.Repeat("x", 64): false,
	} {
		l := newLoader(Options{})
		if got := l.nodeLabel(hcl.Range{}, key, "value"); got != good || got != (len(l.diags) == 0) {
			t.Errorf("%q is taken: %t, %v", key, got, said(l.diags))
		}
	}
}

func TestReleasesThatDoNotInstall(t *testing.T) {
	for release, good := range map[string]bool{"okd-4.15": true, "okd-4.16": false, "okd-4.17.0": false, "okd-4.18": true, "okd-4.20": true} {
		s, diags, _ := load(t, strings.Replace(valid, "okd-4.20", release, 1))
		if (s != nil) != good {
			t.Errorf("%s: %v", release, said(diags))
		}
	}
}
