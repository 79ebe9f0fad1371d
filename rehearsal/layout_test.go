package rehearsal

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// lan is the network of the classic example.
func lan() NetworkConfig {
	return NetworkConfig{CIDR: prefix("192.0.2.0/24"), Gateway: addr("192.0.2.1")}
}

var comparers = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{}),
	cmp.AllowUnexported(network{}, endpoint{}, pool{}),
}

func TestLayoutPlacesEndpoints(t *testing.T) {
	tests := []struct {
		name string
		urls []string // of hypervisors
		want map[string]string
	}{
		{"literal inside a network", []string{"https://192.0.2.9:8443"}, map[string]string{"https://192.0.2.9:8443": "192.0.2.9:8443"}},
		{"literal elsewhere", []string{"https://198.18.4.4"}, map[string]string{"https://198.18.4.4": "198.18.4.4:8006"}},
		{"IPv6 literal", []string{"https://[2001:db8::9]:8006"}, map[string]string{"https://[2001:db8::9]:8006": "[2001:db8::9]:8006"}},
		{"name", []string{"https://pve.lan:8006"}, map[string]string{"https://pve.lan:8006": "198.51.100.1:8006"}},
		{"two names", []string{"https://a.lan", "https://b.lan"}, map[string]string{"https://a.lan": "198.51.100.1:8006", "https://b.lan": "198.51.100.2:8006"}},
		{"one name, two ports", []string{"https://a.lan:1", "https://A.lan.:2"}, map[string]string{"https://a.lan:1": "198.51.100.1:1", "https://A.lan.:2": "198.51.100.1:2"}},
		{"name beside a literal that has its address", []string{"https://198.51.100.1", "https://a.lan"}, map[string]string{"https://198.51.100.1": "198.51.100.1:8006", "https://a.lan": "198.51.100.2:8006"}},
		{"this host", []string{"https://localhost:8006"}, map[string]string{"https://localhost:8006": "127.0.0.1:8006"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{Networks: []NetworkConfig{lan()}, Services: []netip.Addr{addr("192.0.2.210")}}
			for _, u := range tt.urls {
				c.Hypervisors = append(c.Hypervisors, HypervisorConfig{URL: u})
			}
			l, err := newLayout(c)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for raw, e := range l.endpoints {
				got[raw] = e.at.String()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestLayout(t *testing.T) {
	l, err := newLayout(Config{
		Hypervisors: []HypervisorConfig{{URL: "https://pve.lan:8006"}},
		Installers:  []InstallerConfig{{URL: "http://192.0.2.9:8090"}, {URL: "http://192.0.2.210:8090"}},
		Networks:    []NetworkConfig{lan(), {CIDR: prefix("198.51.100.7/24"), Bridge: "vmbr1", VLAN: 20}},
		Services:    []netip.Addr{addr("192.0.2.210"), addr("198.51.100.1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	networks := []network{
		{"vmbr0", prefix("192.0.2.0/24"), addr("192.0.2.1"), []netip.Addr{addr("192.0.2.1"), addr("192.0.2.9")}, []netip.Addr{addr("192.0.2.210")}, nil, pool{addr("192.0.2.10"), 200}},
		{"vmbr1.20", prefix("198.51.100.0/24"), addr("198.51.100.2"), []netip.Addr{addr("198.51.100.2")}, []netip.Addr{addr("198.51.100.1")}, nil, pool{addr("198.51.100.3"), 250}},
	}
	if diff := cmp.Diff(networks, l.networks, comparers); diff != "" {
		t.Errorf("networks: -want +got\n%s", diff)
	}
	endpoints := map[string]endpoint{
		"https://pve.lan:8006":    {"https", "pve.lan", netip.MustParseAddrPort("203.0.113.1:8006"), false},
		"http://192.0.2.9:8090":   {"http", "192.0.2.9", netip.MustParseAddrPort("192.0.2.9:8090"), false},
		"http://192.0.2.210:8090": {"http", "192.0.2.210", netip.MustParseAddrPort("192.0.2.210:8090"), true},
	}
	if diff := cmp.Diff(endpoints, l.endpoints, comparers); diff != "" {
		t.Errorf("endpoints: -want +got\n%s", diff)
	}
	if diff := cmp.Diff([]netip.Addr{addr("203.0.113.1")}, l.remotes, comparers); diff != "" {
		t.Errorf("remotes: -want +got\n%s", diff)
	}
	if diff := cmp.Diff("127.0.0.1 localhost\n::1 localhost\n203.0.113.1 pve.lan\n", string(l.hostsFile())); diff != "" {
		t.Errorf("hosts: -want +got\n%s", diff)
	}
	if diff := cmp.Diff("nameserver 192.0.2.1\nnameserver 198.51.100.2\n", string(l.resolvFile())); diff != "" {
		t.Errorf("resolv.conf: -want +got\n%s", diff)
	}
}

// The endpoint is the first node; the others have the same port elsewhere.
func TestLayoutPlacesNodes(t *testing.T) {
	l, err := newLayout(Config{
		Hypervisors: []HypervisorConfig{{URL: "https://pve.lan:8443", Nodes: []string{"a", "b", "c"}}, {URL: "https://203.0.113.1", Nodes: []string{"d", "e"}}, {URL: "https://alone.lan"}},
		Networks:    []NetworkConfig{lan()}, Services: []netip.Addr{addr("192.0.2.210")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]netip.AddrPort{
		"https://pve.lan:8443": {netip.MustParseAddrPort("198.51.100.3:8443"), netip.MustParseAddrPort("198.51.100.4:8443")},
		"https://203.0.113.1":  {netip.MustParseAddrPort("198.51.100.5:8006")},
	}
	if diff := cmp.Diff(want, l.peers, comparers); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if len(l.remotes) != 6 {
		t.Errorf("addresses of the datacentre: %v, want 6", l.remotes)
	}
}

func TestLayoutRefuses(t *testing.T) {
	tests := []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"services address elsewhere", func(c *Config) { c.Services[0] = addr("198.51.100.210") }, "services address 198.51.100.210: in none of the networks"},
		{"no services address", func(c *Config) { c.Services = nil }, "no services address"},
		{"gateway elsewhere", func(c *Config) { c.Networks[0].Gateway = addr("198.51.100.1") }, "network 192.0.2.0/24: no gateway 198.51.100.1 in it"},
		{"gateway is the services address", func(c *Config) { c.Networks[0].Gateway = c.Services[0] }, "network 192.0.2.0/24: gateway 192.0.2.210 is a services address"},
		{"hypervisor without TLS", func(c *Config) { c.Hypervisors[0].URL = "http://pve.lan" }, `hypervisor: endpoint "http://pve.lan": not a URL of a server there`},
		{"no host", func(c *Config) { c.Hypervisors[0].URL = "https://" }, `hypervisor: endpoint "https://": not a URL of a server there`},
		{"port", func(c *Config) { c.Hypervisors[0].URL = "https://pve.lan:70000" }, `hypervisor: endpoint "https://pve.lan:70000": no such port`},
		{"two at one place", func(c *Config) { c.Hypervisors = append(c.Hypervisors, HypervisorConfig{URL: "https://PVE.lan"}) }, `hypervisor: endpoint "https://PVE.lan": at 198.51.100.1:8006 there is "https://pve.lan:8006" already`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{
				Hypervisors: []HypervisorConfig{{URL: "https://pve.lan:8006"}},
				Networks:    []NetworkConfig{lan()}, Services: []netip.Addr{addr("192.0.2.210")},
			}
			tt.edit(&c)
			if _, err := newLayout(c); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestConfigTravels(t *testing.T) {
	want := Config{
		Dir: "/tmp/w", Speed: 60, Hypervisors: []HypervisorConfig{{URL: "https://pve.lan", Nodes: []string{"a"}}},
		Installers: []InstallerConfig{{URL: "http://192.0.2.9", Token: "t"}}, Networks: []NetworkConfig{lan(), {CIDR: prefix("198.51.100.0/24"), Static: []netip.Addr{addr("198.51.100.7")}}},
		Services: []netip.Addr{addr("192.0.2.210")}, Env: map[string]string{"A": "b"}, Faults: []string{"lost-reply"},
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Config
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, comparers); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
