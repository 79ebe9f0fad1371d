package services

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// view is a cluster with its control plane from .201 or ::201 on, then its
// workers, and the services at .210 or ::210.
func view(network string, control, workers int) View {
	n := netip.MustParsePrefix(network)
	v := View{Name: "mycluster", Domain: "lab.test", Network: n, Services: host(n, 0x210, 210), Serial: 7}
	for i := range control + workers {
		name := fmt.Sprintf("control-%d", i)
		if i >= control {
			name = fmt.Sprintf("worker-%d", i-control)
		}
		v.Nodes = append(v.Nodes, Node{name, name + ".mycluster.lab.test", i < control, host(n, uint16(0x201+i), byte(201+i))})
	}
	return v
}

func host(n netip.Prefix, six uint16, four byte) netip.Addr {
	b := n.Addr().AsSlice()
	b[len(b)-1] = four
	if n.Addr().Is6() {
		b[len(b)-2], b[len(b)-1] = byte(six>>8), byte(six)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func TestBuild(t *testing.T) {
	ha := view("192.0.2.0/24", 3, 2)
	ha.Upstream = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	two := view("192.0.2.0/24", 3, 1)
	two.Others = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/25")}
	two.Nodes[3].Address = netip.MustParseAddr("198.51.100.11")
	dhcp := view("192.0.2.0/24", 3, 2)
	dhcp.Nodes[1].Address, dhcp.Nodes[4].Address = netip.Addr{}, netip.Addr{}
	for name, v := range map[string]View{
		"ha": ha, "two_networks": two, "dhcp": dhcp, "compact": view("192.0.2.0/24", 3, 0), "one_worker": view("192.0.2.0/24", 3, 1), "sno": view("192.0.2.0/24", 1, 0), "v6": view("2001:db8::/64", 3, 2),
	} {
		t.Run(name, func(t *testing.T) {
			d := Build(v)
			if err := Validate(d); err != nil {
				t.Error(err)
			}
			got, err := json.MarshalIndent(d, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestReverseZones(t *testing.T) {
	tests := []struct {
		name, network, services string
		nodes                   []string
		want                    []string // zone, then its owner names
	}{
		{
			"one /24", "192.0.2.0/24", "192.0.2.210",
			[]string{"192.0.2.201"},
			[]string{"2.0.192.in-addr.arpa.: 210.2.0.192.in-addr.arpa. 201.2.0.192.in-addr.arpa."},
		},
		{
			"a /22 is served by the /24 that has addresses", "198.51.100.0/22", "198.51.100.9",
			[]string{"198.51.100.10", "198.51.101.10"},
			[]string{
				"100.51.198.in-addr.arpa.: 9.100.51.198.in-addr.arpa. 10.100.51.198.in-addr.arpa.",
				"101.51.198.in-addr.arpa.: 10.101.51.198.in-addr.arpa.",
			},
		},
		{
			"a /28 takes no name of its neighbours", "192.0.2.208/28", "192.0.2.210",
			[]string{"192.0.2.211"},
			[]string{"210.2.0.192.in-addr.arpa.: 210.2.0.192.in-addr.arpa.", "211.2.0.192.in-addr.arpa.: 211.2.0.192.in-addr.arpa."},
		},
		{
			"services outside the machine network", "192.0.2.0/24", "203.0.113.5",
			[]string{"192.0.2.201"},
			[]string{"5.113.0.203.in-addr.arpa.: 5.113.0.203.in-addr.arpa.", "2.0.192.in-addr.arpa.: 201.2.0.192.in-addr.arpa."},
		},
		{
			"IPv6, cut at a nibble", "2001:db8::/62", "2001:db8::1", nil,
			[]string{
				"0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.: 1." + strings.Repeat("0.", 15) + "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := View{Name: "c", Domain: "lab.test", Network: netip.MustParsePrefix(tt.network), Services: netip.MustParseAddr(tt.services)}
			for i, a := range tt.nodes {
				v.Nodes = append(v.Nodes, Node{Name: fmt.Sprint("n-", i), Full: fmt.Sprintf("n-%d.c.lab.test", i), Address: netip.MustParseAddr(a)})
			}
			var got []string
			for _, z := range v.reverseZones() {
				line := z.Name + ":"
				for _, r := range z.Records {
					if r.Data != "api-int.c.lab.test." { // beside api, at the same name
						line += " " + r.Name
					}
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
