package node

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const ethernet = "interfaces:\n- {name: eth0, type: ethernet, state: up, mtu: 9000, ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.201, prefix-length: 24}]}}\n"

func TestParseNMState(t *testing.T) {
	got, err := parseNMState(ethernet + `
routes:
  config: [{destination: 0.0.0.0/0, next-hop-address: 192.0.2.1, next-hop-interface: eth0, table-id: 254}]
dns-resolver: {config: {server: [192.0.2.210, "2001:db8::53"], search: [lab.test]}}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := netConfig{
		interfaces: map[string]netInterface{"eth0": {
			addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.201/24")}, gateway: netip.MustParseAddr("192.0.2.1"), mtu: 9000}},
		servers: []netip.Addr{netip.MustParseAddr("192.0.2.210"), netip.MustParseAddr("2001:db8::53")},
		search:  []string{"lab.test"},
	}
	compare := []cmp.Option{cmp.AllowUnexported(netConfig{}, netInterface{}),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	if diff := cmp.Diff(want, got, compare...); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestParseNMStateRefusesNonsense(t *testing.T) {
	address := func(ip string) string {
		return "interfaces:\n- {name: eth0, type: ethernet, ipv4: {enabled: true, address: [" + ip + "]}}\n"
	}
	route := func(r string) string { return ethernet + "routes: {config: [" + r + "]}\n" }
	tests := []struct{ name, text, want string }{
		{"not YAML", "{", "nmstate: yaml"},
		{"unknown key", "interfaces: []\nnonsense: 1\n", "field nonsense not found"},
		{"no name", "interfaces: [{type: ethernet}]", "not a name the kernel takes"},
		{"long name", "interfaces: [{name: a123456789012345, type: ethernet}]", "not a name the kernel takes"},
		{"twice", "interfaces: [{name: a, type: ethernet}, {name: a, type: ethernet}]", "described twice"},
		{"bond", "interfaces: [{name: a, type: bond}]", `type "bond"`},
		{"state", "interfaces: [{name: a, type: ethernet, state: sideways}]", `state "sideways"`},
		{"MTU", "interfaces: [{name: a, type: ethernet, mtu: 20}]", "MTU 20"},
		{"not an address", address("{ip: x, prefix-length: 24}"), "ParseAddr"},
		{"prefix", address("{ip: 192.0.2.1, prefix-length: 33}"), "192.0.2.1/33"},
		{"no prefix", address("{ip: 192.0.2.1}"), "192.0.2.1/0"},
		{"multicast", address("{ip: 224.0.0.1, prefix-length: 24}"), "not one an interface can have"},
		{"IPv6 in ipv4", address("{ip: '2001:db8::1', prefix-length: 64}"), "not one an interface can have"},
		{"next hop off link", route("{destination: 0.0.0.0/0, next-hop-address: 198.51.100.1, next-hop-interface: eth0}"), "no network of eth0"},
		{"next hop of another family", route("{destination: '::/0', next-hop-address: 192.0.2.1, next-hop-interface: eth0}"), "another address family"},
		{"unknown interface", route("{destination: 0.0.0.0/0, next-hop-address: 192.0.2.1, next-hop-interface: eth7}"), `interface "eth7" is not described`},
		{"other destination", route("{destination: 198.51.100.0/24, next-hop-address: 192.0.2.1, next-hop-interface: eth0}"), "default route only"},
		{"DNS server by name", "dns-resolver: {config: {server: [dns.lab.test]}}", "DNS server"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := parseNMState(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func FuzzParseNMState(f *testing.F) {
	f.Add(ethernet)
	f.Add("routes: {config: [{destination: '::/0'}]}")
	f.Fuzz(func(t *testing.T, text string) {
		config, err := parseNMState(text)
		if err != nil {
			return
		}
		for name, i := range config.interfaces {
			for _, a := range i.addrs {
				if name == "" || !a.IsValid() || a.Addr().IsMulticast() {
					t.Errorf("interface %q has %s", name, a)
				}
			}
		}
	})
}
