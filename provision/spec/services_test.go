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

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// vm is the services machine at 192.0.2.210.
func vm(cpus, memory, disk int, image CloudImage) *ServicesMachine {
	const full = "services.mycluster.lab.test"
	return &ServicesMachine{User: "slipway", Image: image, Node: Node{
		Name: "services", Full: full, Role: ServicesRole, CPUs: cpus, Memory: memory, Disk: disk,
		Address: netip.MustParseAddr("192.0.2.210"), MAC: macOf(full, 0), UUID: uuidOf(full)}}
}

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
		{"on a machine of ours", "address = \"192.0.2.210\"\n mode = \"vm\"",
			Services{Mode: ServicesVM, Balancer: Balancer{Mode: BalancerAuto}, Machine: vm(2, 2048, 20, CloudImage{})},
			[]netip.Addr{at("192.0.2.210")}, []netip.Addr{at("192.0.2.210")}},
		{"on one of another size and image", "address = \"192.0.2.210\"\n mode = \"vm\"\n vm {\n cpus = 4\n memory = \"4GiB\"\n disk = 40\n image {\n url = \"http://192.0.2.9/disk.img\"\n sha256 = \"" + digest + "\"\n }\n }",
			Services{Mode: ServicesVM, Balancer: Balancer{Mode: BalancerAuto}, Machine: vm(4, 4096, 40, CloudImage{URL: "http://192.0.2.9/disk.img", SHA256: digest})},
			[]netip.Addr{at("192.0.2.210")}, []netip.Addr{at("192.0.2.210")}},
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
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreTypes(hcl.Range{}, Network{}), cmpopts.IgnoreFields(Services{}, "Address", "DNS")); diff != "" {
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
		{"a host beside a machine of ours", "mode = \"vm\"\n ssh { host = \"a\" }", "Which host?"},
		{"a machine without memory", "mode = \"vm\"\n vm { memory = 256 }", "Not enough memory: A services machine needs at least 512 MiB, and this is 256. Write memory = \"2GiB\"."},
		{"a machine without room for its image", "mode = \"vm\"\n vm { disk = 2 }", "Not enough disk"},
		{"an image without url", "mode = \"vm\"\n vm {\n image { sha256 = \"" + digest + "\" }\n }", `Missing argument: "url" is required.`},
		{"an image that is a file", "mode = \"vm\"\n vm {\n image { url = \"/srv/disk.qcow2\" }\n }", "Invalid image: This is not the URL of an image."},
		{"a compressed image", "mode = \"vm\"\n vm {\n image { url = \"https://192.0.2.9/disk.qcow2.xz\" }\n }", `Invalid image: "disk.qcow2.xz" is not a disk image by its name.`},
		{"an image that anybody can replace", "mode = \"vm\"\n vm {\n image { url = \"http://192.0.2.9/disk.qcow2\" }\n }", "Unchecked image: Over http anybody on the way can replace the image."},
		{"a digest of another kind", "mode = \"vm\"\n vm {\n image {\n url = \"https://192.0.2.9/disk.qcow2\"\n sha256 = \"abcd\"\n }\n }", `Invalid digest: "abcd" is not a SHA-256 digest.`},
		{"a machine that has nothing to serve", "mode = \"vm\"\n load_balancer {\n mode = \"external\"\n address = \"192.0.2.220\"\n }\n dns {\n mode = \"external\"\n server = \"192.0.2.53\"\n }", "Nothing to serve"},
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

// A machine stands somewhere, alone at its address, and finds the way out.
func TestServicesMachineStandsInANetwork(t *testing.T) {
	const services = `services { address = "192.0.2.210" }`
	other := "network \"dmz\" {\n  cidr = \"198.51.100.0/24\"\n  gateway = \"198.51.100.1\"\n}\nsecret"
	at := func(address string) string {
		return "network = \"lan\"\n services {\n address = \"" + address + "\"\n mode = \"vm\"\n }"
	}
	for _, tt := range []struct{ name, address, network, want string }{
		{"the cluster's own", "192.0.2.210", "lan", ""},
		{"another one", "198.51.100.10", "dmz", ""},
		{"none", "203.0.113.9", "", "Invalid services address: 203.0.113.9 is in none of the networks, and a machine has to stand in one. Write a free address in 192.0.2.0/24."},
		{"its gateway", "198.51.100.1", "", "Invalid services address: 198.51.100.1 is the gateway. Write a free address in 198.51.100.0/24."},
		{"a node's place", "192.0.2.201", "", "Duplicate address: 192.0.2.201 is to be the address of node \"control-0\", and is that of services of cluster mycluster already, at cluster.hcl:18,12-25. Write another one."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.NewReplacer("secret \"pull\"", other+" \"pull\"", services, at(tt.address),
				`machines "control" { count = 3 }`, "machines \"control\" { addresses = \"192.0.2.201-203\" }").Replace(valid)
			s, diags, _ := load(t, text)
			switch {
			case told(diags) != tt.want:
				t.Errorf("diagnostics %q, want %q", told(diags), tt.want)
			case s != nil && s.Clusters[0].Services.Machine.Network.Label != tt.network:
				t.Errorf("it stands in %q, want %q", s.Clusters[0].Services.Machine.Network.Label, tt.network)
			}
		})
	}
}

// Nobody has the identity of the services machine.
func TestServicesMachineIsOne(t *testing.T) {
	mac := macOf("services.mycluster.lab.test", 0).String()
	text := strings.NewReplacer(`services { address = "192.0.2.210" }`, "services {\n address = \"192.0.2.210\"\n mode = \"vm\"\n }",
		`machines "worker" { count = 2 }`, `machines "worker" { macs = ["`+mac+`", "52:54:00:00:00:01"] }`).Replace(valid)
	if s, diags, _ := load(t, text); s != nil || !strings.Contains(told(diags), "Duplicate MAC address: "+mac+" is to be the MAC address of node \"worker-0\", and is that of the services machine of cluster mycluster already") {
		t.Errorf("diagnostics %q", told(diags))
	}
	long := strings.NewReplacer(`"mycluster"`, `"`+strings.Repeat("c", 47)+`"`, `services { address = "192.0.2.210" }`, "services {\n address = \"192.0.2.210\"\n mode = \"vm\"\n }").Replace(valid)
	if s, diags, _ := load(t, long); s != nil || !strings.Contains(told(diags), "Name too long: The host name services.ccc") {
		t.Errorf("diagnostics %q", told(diags))
	}
}
