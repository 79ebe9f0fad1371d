package loadbalancer

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/testbed"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var testEnv = Env{Version: Version{2, 6, 12}, RunDir: "/run/slipway/mycluster.lab.test", MaxConn: 8000}

// members returns n members from first on, all on one port.
func members(name, first string, n int, port uint16) []Member {
	var out []Member
	for i, a := 0, netip.MustParseAddr(first); i < n; i, a = i+1, a.Next() {
		out = append(out, Member{Name: fmt.Sprintf("%s-%d", name, i), Address: netip.AddrPortFrom(a, port)})
	}
	return out
}

// openshift is the Config of a cluster with n control plane nodes, and as
// many routers, at the given addresses.
func openshift(services, network, control string, n int, router, routerName string, routers int) Config {
	bind := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(services), port) }
	return Config{Frontends: []Frontend{
		{Name: "api", Bind: bind(6443), Check: CheckAPI, Members: members("control", control, n, 6443)},
		{
			Name: "machine-config", Bind: bind(22623), Check: CheckMachine,
			Allow: []netip.Prefix{netip.MustParsePrefix(network)}, Members: members("control", control, n, 22623),
		},
		{Name: "ingress-https", Bind: bind(443), Check: CheckRouter, Members: members(routerName, router, routers, 443)},
		{Name: "ingress-http", Bind: bind(80), Check: CheckRouter, Members: members(routerName, router, routers, 80)},
	}}
}

var topologies = []struct {
	name   string
	config Config
}{
	{"ha", openshift("192.0.2.210", "192.0.2.0/24", "192.0.2.201", 3, "192.0.2.204", "worker", 2)},
	{"compact", openshift("192.0.2.210", "192.0.2.0/24", "192.0.2.201", 3, "192.0.2.201", "control", 3)},
	{"sno", openshift("192.0.2.210", "192.0.2.0/24", "192.0.2.201", 1, "192.0.2.201", "control", 1)},
	{"v6", openshift("2001:db8::210", "2001:db8::/64", "2001:db8::201", 3, "2001:db8::204", "worker", 2)},
	{"upi", withBootstrap(openshift("192.0.2.210", "192.0.2.0/24", "192.0.2.201", 3, "192.0.2.204", "worker", 2), "192.0.2.200")},
	{"empty", Config{}},
}

// withBootstrap adds the bootstrap host of an installation without an
// assisted or agent-based installer: API and machine configs come from it
// until the control plane has its own.
func withBootstrap(c Config, address string) Config {
	for i := range c.Frontends[:2] {
		f := &c.Frontends[i]
		m := Member{Name: "bootstrap", Address: netip.AddrPortFrom(netip.MustParseAddr(address), f.Bind.Port()), Role: RoleBootstrap}
		f.Members = append([]Member{m}, f.Members...)
	}
	return c
}

func TestRender(t *testing.T) {
	for _, tt := range topologies {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Render(tt.config, testEnv)
			compare(t, tt.name, got, err)
		})
	}
}

func TestRenderForOthers(t *testing.T) {
	for _, tt := range topologies[:len(topologies)-1] {
		t.Run(tt.name, func(t *testing.T) {
			got, err := RenderNginx(tt.config)
			compare(t, tt.name+".nginx", got, err)
		})
	}
	got, err := RenderKeepalived(topologies[0].config, "eth0", "/run/haproxy")
	compare(t, "ha.keepalived", got, err)
	bare := Config{Frontends: []Frontend{{Name: "api", Bind: netip.MustParseAddrPort("192.0.2.210:6443"), Check: CheckAPI}}}
	if got, err := RenderNginx(bare); err == nil {
		t.Errorf("an upstream without servers: %s", got)
	}
	if got, err := RenderKeepalived(Config{}, "eth0", "/run/haproxy"); err == nil {
		t.Errorf("an address for nothing: %s", got)
	}
}

// compare compares with a golden file, or writes it.
func compare(t *testing.T, name string, got []byte, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A warning is as bad as an error here: -dW makes haproxy see it so.
func TestHAProxyHasNothingToSay(t *testing.T) {
	binary := needHAProxy(t)
	for _, tt := range topologies {
		t.Run(tt.name, func(t *testing.T) {
			file := checkable(t, tt.config)
			strictCheck(t, binary, file)
			if err := binary.Check(t.Context(), file); err != nil {
				t.Error(err)
			}
		})
	}
}

func strictCheck(t *testing.T, binary Binary, file string) {
	t.Helper()
	out, err := exec.Command(binary.Path, "-dW", "-c", "-f", file).CombinedOutput()
	if err != nil || len(out) > 0 && string(out) != "Configuration file is valid\n" { // newer ones are silent
		t.Errorf("haproxy -dW -c: %v\n%s", err, out)
	}
}

// checkable writes the rendered c where haproxy can read it with all that it
// refers to.
func checkable(t testing.TB, c Config) string {
	t.Helper()
	dir := t.TempDir()
	text, err := Render(c, Env{Version: Oldest, RunDir: dir, MaxConn: 1000})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "servers.state"), stateVersion)
	write(t, filepath.Join(dir, "haproxy.cfg"), string(text))
	return filepath.Join(dir, "haproxy.cfg")
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func needHAProxy(t testing.TB) Binary {
	t.Helper()
	b, err := Find(t.Context())
	if err != nil {
		testbed.Missing(t, "haproxy: %v; %s", err, hint.Of(err))
	}
	return b
}

func TestCheckQuotesAlerts(t *testing.T) {
	binary := needHAProxy(t)
	file := checkable(t, topologies[0].config)
	text, _ := os.ReadFile(file)
	write(t, file, string(text)+"    bogus keyword\n")
	err := binary.Check(t.Context(), file)
	if err == nil || !strings.Contains(err.Error(), "unknown keyword 'bogus'") || strings.Contains(err.Error(), "[NOTICE]") {
		t.Errorf("got %v, want haproxy's alerts", err)
	}
}

func TestValidate(t *testing.T) {
	addr := netip.MustParseAddrPort
	good := func() Frontend {
		return Frontend{Name: "api", Bind: addr("192.0.2.210:6443"), Check: CheckAPI, Members: []Member{{Name: "control-0", Address: addr("192.0.2.201:6443")}}}
	}
	tests := []struct {
		name   string
		change func(f *Frontend)
		want   string
	}{
		{"newline in a name", func(f *Frontend) { f.Name = "api\n  lua-load /x" }, `name "api\n  lua-load /x" is not a lower-case DNS label`},
		{"blank in a member", func(f *Frontend) { f.Members[0].Name = "a b" }, `name "a b" is not a lower-case DNS label`},
		{"member twice", func(f *Frontend) { f.Members = append(f.Members, f.Members[0]) }, `member "control-0" is there twice`},
		{"every address", func(f *Frontend) { f.Bind = addr("0.0.0.0:6443") }, `address "0.0.0.0:6443" is not that of one host`},
		{"every IPv6 address", func(f *Frontend) { f.Bind = addr("[::]:6443") }, `address "[::]:6443" is not that of one host`},
		{"zone", func(f *Frontend) { f.Bind = addr("[fe80::1%eth0]:6443") }, `address "[fe80::1%eth0]:6443" is not a plain IP address and port`},
		{"mapped IPv4", func(f *Frontend) { f.Members[0].Address = addr("[::ffff:192.0.2.1]:1") }, `address "[::ffff:192.0.2.1]:1" is not a plain IP address and port`},
		{"no port", func(f *Frontend) { f.Bind = addr("192.0.2.210:0") }, `address "192.0.2.210:0" is not a plain IP address and port`},
		{"unknown role", func(f *Frontend) { f.Members[0].Role = "boot" }, `member "control-0": unknown role "boot"`},
		{"unknown check", func(f *Frontend) { f.Check = "tcp" }, `unknown check "tcp"`},
		{"open machine config server", func(f *Frontend) { f.Check = CheckMachine }, "the machine config server must not be open to anybody: allow the machine network"},
		{"allowed nothing", func(f *Frontend) { f.Allow = []netip.Prefix{{}} }, `allowed clients "invalid Prefix" are not an IP prefix`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := good()
			tt.change(&f)
			err := Config{Frontends: []Frontend{f}}.Validate()
			if want := fmt.Sprintf("frontend %q: %s", f.Name, tt.want); err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if _, err := Render(Config{Frontends: []Frontend{f}}, testEnv); err == nil {
				t.Error("rendered nevertheless")
			}
		})
	}
	if err := (Config{Frontends: []Frontend{good(), good()}}).Validate(); err == nil {
		t.Error("the same frontend twice is accepted")
	}
}

func TestRenderRefusesEnv(t *testing.T) {
	tests := []struct {
		name string
		env  Env
		want string
	}{
		{"old haproxy", Env{Version{2, 3, 21}, "/run/x", 100}, "haproxy 2.3.21 is older than 2.4.0"},
		{"relative run directory", Env{Oldest, "run/x", 100}, `run directory "run/x" cannot hold haproxy's sockets`},
		{"blank in run directory", Env{Oldest, "/run/a b", 100}, `run directory "/run/a b" cannot hold haproxy's sockets`},
		{"variable in run directory", Env{Oldest, "/run/$HOME", 100}, `run directory "/run/$HOME" cannot hold haproxy's sockets`},
		{"long run directory", Env{Oldest, "/" + strings.Repeat("x", 80), 100}, `run directory "/` + strings.Repeat("x", 80) + `" cannot hold haproxy's sockets`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Render(Config{}, tt.env)
			if err == nil || err.Error() != tt.want || hint.Of(err) == "" {
				t.Errorf("got %v (hint %q), want %s", err, hint.Of(err), tt.want)
			}
		})
	}
}

// Whatever the values are, they never add a line or leave their place.
func FuzzRender(f *testing.F) {
	f.Add("api", "control-0", "192.0.2.201", "/run/slipway", uint16(6443), uint8(3))
	f.Add("api\n  lua-load /x", "a", "::1", "/run/\n", uint16(1), uint8(1))
	f.Add("$HOME", "a b", "fe80::1%eth0\nx", "/run/'", uint16(0), uint8(0))
	f.Fuzz(func(t *testing.T, name, member, address, dir string, port uint16, n uint8) {
		a, err := netip.ParseAddr(address)
		if err != nil {
			return
		}
		fe := Frontend{Name: name, Bind: netip.AddrPortFrom(a, port), Check: CheckAPI}
		for i := range int(n) {
			fe.Members = append(fe.Members, Member{Name: member + strings.Repeat("x", i), Address: netip.AddrPortFrom(a, port)})
		}
		if text, err := RenderNginx(Config{Frontends: []Frontend{fe}}); err == nil {
			const fixed = 17
			if lines := bytes.Count(text, []byte("\n")); lines != fixed+int(n) {
				t.Errorf("nginx: %d lines for %d members", lines, n)
			}
		}
		if text, err := RenderKeepalived(Config{Frontends: []Frontend{fe}}, member, dir); err == nil {
			const fixed = 29
			if lines := bytes.Count(text, []byte("\n")); lines != fixed {
				t.Errorf("keepalived: %d lines", lines)
			}
		}
		out, err := Render(Config{Frontends: []Frontend{fe}}, Env{Oldest, dir, 100})
		if err != nil {
			return
		}
		const fixed = 50 // lines of one frontend and all that surrounds it
		if lines := bytes.Count(out, []byte("\n")); lines != fixed+int(n) {
			t.Errorf("%d lines for %d members", lines, n)
		}
		_, body, _ := strings.Cut(string(out), "\n")
		if i := strings.IndexFunc(body, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') || strings.ContainsRune("$\"'\\#", r) }); i >= 0 {
			t.Errorf("foreign byte %q", body[i])
		}
	})
}

func TestMaxConn(t *testing.T) {
	tests := []struct {
		limit uint64
		files int
		want  int
	}{{20000, 2, 9850}, {4096, 2, 1898}, {1024, 2, 362}, {200, 2, -50}, {1 << 63, 2, 20000}, {20000, 6, 3283}, {1024, 6, 120}}
	for _, tt := range tests {
		if got := maxConn(tt.limit, tt.files); got != tt.want {
			t.Errorf("%d files, %d for a connection: %d connections, want %d", tt.limit, tt.files, got, tt.want)
		}
	}
}

func TestParseVersion(t *testing.T) {
	tests := []struct {
		out  string
		want Version
	}{
		{"HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\nStatus: x", Version{2, 6, 12}},
		{"HA-Proxy version 2.2.9-2+deb11u6 2023/08/12", Version{2, 2, 9}},
		{"HAProxy version 3.3-dev1-abc 2025/06/01", Version{3, 3, 0}},
	}
	for _, tt := range tests {
		if got, err := parseVersion(tt.out); got != tt.want || err != nil {
			t.Errorf("%q: got %v, %v", tt.out, got, err)
		}
	}
	if v, err := parseVersion("nginx version 1.2.3"); err == nil {
		t.Errorf("nginx is haproxy %s", v)
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n")
	f.Add("HA-Proxy version 2.2\nHAProxy version 9999.9999.9999")
	f.Add("HAProxy version 99999.1")
	f.Fuzz(func(t *testing.T, out string) {
		v, err := parseVersion(out)
		if err != nil && v != (Version{}) || v.Major < 0 || v.Minor < 0 || v.Patch < 0 {
			t.Errorf("%v, %v", v, err)
		}
	})
}
