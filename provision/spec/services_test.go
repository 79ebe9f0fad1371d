package spec

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"
)

const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJpmXqnBVfCTZZfMXoLi8T6XyzVJvYcsLqHlrYVdNyYR"

func TestServices(t *testing.T) {
	at := netip.MustParseAddr
	for _, tt := range []struct {
		name, block string
		want        Services
		api         []netip.Addr
		resolvers   []netip.Addr
	}{
		{"here", `address = "192.0.2.210"`,
			Services{Mode: ServicesLocal, Balancer: Balancer{Mode: BalancerAuto}}, []netip.Addr{at("192.0.2.210")}, []netip.Addr{at("192.0.2.210")}},
		{"without haproxy", "address = \"192.0.2.210\"\n load_balancer { mode = \"embedded\" }",
			Services{Mode: ServicesLocal, Balancer: Balancer{Mode: BalancerEmbedded}}, []netip.Addr{at("192.0.2.210")}, []netip.Addr{at("192.0.2.210")}},
		{"the user's balancer", "address = \"192.0.2.210\"\n load_balancer {\n mode = \"external\"\n address = \"192.0.2.220\"\n }",
			Services{Mode: ServicesLocal, Balancer: Balancer{Mode: BalancerExternal, Address: at("192.0.2.220")}}, []netip.Addr{at("192.0.2.220")}, []netip.Addr{at("192.0.2.210")}},
		{"on a host", "address = \"192.0.2.210\"\n mode = \"ssh\"\n ssh { host = \"services.lab.test\" }",
			Services{Mode: ServicesSSH, Balancer: Balancer{Mode: BalancerAuto}, Hosts: []ServicesHost{{Host: "services.lab.test", Port: 22, User: "root", Address: at("192.0.2.210")}}},
			[]netip.Addr{at("192.0.2.210")}, []netip.Addr{at("192.0.2.210")}},
		{"on two hosts", "address = \"192.0.2.210\"\n mode = \"ssh\"\n ssh {\n host = \"a.lab.test\"\n user = \"admin\"\n key = \"/keys/a\"\n port = 2222\n host_key = \"" + hostKey + "\"\n }\n ssh {\n host = \"192.0.2.212\"\n address = \"192.0.2.211\"\n }",
			Services{Mode: ServicesSSH, Balancer: Balancer{Mode: BalancerAuto}, Hosts: []ServicesHost{
				{Host: "a.lab.test", Port: 2222, User: "admin", Key: "/keys/a", HostKey: hostKey, Address: at("192.0.2.210")},
				{Host: "192.0.2.212", Port: 22, User: "root", Address: at("192.0.2.211")}}},
			[]netip.Addr{at("192.0.2.210"), at("192.0.2.211")}, []netip.Addr{at("192.0.2.210"), at("192.0.2.211")}},
		{"all of it the user's", "address = \"192.0.2.220\"\n mode = \"external\"\n dns {\n mode = \"external\"\n server = \"192.0.2.53\"\n }",
			Services{Mode: ServicesExternal, Balancer: Balancer{Mode: BalancerExternal}}, []netip.Addr{at("192.0.2.220")}, []netip.Addr{at("192.0.2.53")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, diags, _ := load(t, strings.Replace(valid, `services { address = "192.0.2.210" }`, "services {\n"+tt.block+"\n}", 1))
			if s == nil {
				t.Fatal(diags)
			}
			got := s.Clusters[0].Services
			if diff := cmp.Diff([][]netip.Addr{tt.api, tt.resolvers}, [][]netip.Addr{got.API(), got.Resolvers()}, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("API and resolvers (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreTypes(hcl.Range{}), cmpopts.IgnoreFields(Services{}, "Address", "DNS")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWrongServices(t *testing.T) {
	for _, tt := range []struct{ name, block, want string }{
		{"ssh without a host", `mode = "ssh"`, "Missing ssh block"},
		{"two hosts at one address", "mode = \"ssh\"\n ssh { host = \"a\" }\n ssh { host = \"b\" }", "Duplicate address: The services on a and on b have the same address 192.0.2.210."},
		{"a user before the host", "mode = \"ssh\"\n ssh { host = \"admin@services\" }", `Invalid host: "admin@services" is not the name or the address of a host.`},
		{"no key of a host", "mode = \"ssh\"\n ssh {\n host = \"a\"\n host_key = \"SHA256:abc\"\n }", "Invalid host key"},
		{"an option for a host", "mode = \"ssh\"\n ssh { host = \"-oProxyCommand=x\" }", "Invalid host"},
		{"nobody answers", `mode = "external"`, "Whose DNS?"},
		{"nobody balances", "mode = \"external\"\n load_balancer { mode = \"haproxy\" }\n dns {\n mode = \"external\"\n server = \"192.0.2.53\"\n }", "Whose load balancer?"},
		{"nothing is served", "load_balancer {\n mode = \"external\"\n address = \"192.0.2.220\"\n }\n dns {\n mode = \"external\"\n server = \"192.0.2.53\"\n }", "Nothing to serve"},
		{"an address of our balancer", "load_balancer { address = \"192.0.2.220\" }", `Unused argument: "address" would do nothing`},
		{"a balancer without address", "load_balancer { mode = \"external\" }", "Missing argument"},
		{"an unknown balancer", "load_balancer { mode = \"nginx\" }", `Invalid mode: "nginx" is not one of auto, haproxy, embedded, external.`},
		{"a node at the second address", "mode = \"ssh\"\n ssh { host = \"a\" }\n ssh {\n host = \"b\"\n address = \"192.0.2.1\"\n }", "Invalid services address: 192.0.2.1 is the gateway"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, diags, _ := load(t, strings.Replace(valid, `services { address = "192.0.2.210" }`, "services {\naddress = \"192.0.2.210\"\n"+tt.block+"\n}", 1))
			if s != nil || !strings.Contains(told(diags), tt.want) {
				t.Errorf("diagnostics %q, want %q", told(diags), tt.want)
			}
		})
	}
}

func told(diags hcl.Diagnostics) string {
	var all []string
	for _, d := range diags {
		all = append(all, d.Summary+": "+d.Detail)
	}
	return strings.Join(all, "\n")
}
