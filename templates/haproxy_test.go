package templates

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A template must not print a value as it is: each action is control flow or
// begins with the function of the value's type.
func TestEveryValueHasAPrinter(t *testing.T) {
	action := regexp.MustCompile(`\{\{-? *([a-z]*)[^}]*\}\}`)
	allowed := "range if else end name path device addr ip prefix count options"
	for name, text := range map[string]string{"haproxy": haproxyText, "nginx": nginxText, "keepalived": keepalivedText} {
		actions := action.FindAllStringSubmatch(text, -1)
		if len(actions) < 4 || len(actions) != strings.Count(text, "{{") {
			t.Fatalf("%s: %d actions found in %d", name, len(actions), strings.Count(text, "{{"))
		}
		for _, a := range actions {
			if a[1] == "" || !strings.Contains(" "+allowed+" ", " "+a[1]+" ") {
				t.Errorf("%s: %s prints without a type", name, a[0])
			}
		}
	}
}

func TestKeepalivedRefuses(t *testing.T) {
	good := KeepalivedData{Interface: "eth0", RouterID: 210, Address: netip.MustParseAddr("192.0.2.210"), RunDir: "/run/haproxy"}
	if _, err := Keepalived(good); err != nil {
		t.Fatal(err)
	}
	bad := good
	bad.Interface = "eth0\n}"
	if _, err := Keepalived(bad); err == nil {
		t.Error("a newline in the interface is accepted")
	}
	bad = good
	bad.Address = netip.MustParseAddr("fe80::1%x y")
	if _, err := Keepalived(bad); err == nil {
		t.Error("a zone is accepted")
	}
}

func data() HAProxyData {
	addr := netip.MustParseAddrPort("192.0.2.201:6443")
	return HAProxyData{MaxConn: 100, RunDir: "/run/slipway", Frontends: []HAProxyFrontend{{
		Name: "api", Bind: addr, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Check:   HAProxyCheck{Path: "/readyz", Every: time.Second, Fast: time.Second, Down: time.Second, Fall: 2, Rise: 2},
		Servers: []HAProxyServer{{Name: "control-0", Address: addr}},
	}}}
}

func TestHAProxyRefuses(t *testing.T) {
	if _, err := HAProxy(data()); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(d *HAProxyData, f *HAProxyFrontend)
		want   string
	}{
		{"newline in a name", func(_ *HAProxyData, f *HAProxyFrontend) { f.Name = "a\nb" }, `name "a\nb" is not a lower-case DNS label`},
		{"newline after a name", func(_ *HAProxyData, f *HAProxyFrontend) { f.Servers[0].Name = "a\n" }, `name "a\n" is not a lower-case DNS label`},
		{"blank in a tracked name", func(_ *HAProxyData, f *HAProxyFrontend) { f.Servers[0].Track = "a b" }, `name "a b" is not a lower-case DNS label`},
		{"variable in a path", func(d *HAProxyData, _ *HAProxyFrontend) { d.RunDir = "/${HOME}" }, `path "/${HOME}" is not absolute or has unusual characters`},
		{"comment in a path", func(_ *HAProxyData, f *HAProxyFrontend) { f.Check.Path = "/#" }, `path "/#" is not absolute or has unusual characters`},
		{"zone of an address", func(_ *HAProxyData, f *HAProxyFrontend) { f.Bind = netip.MustParseAddrPort("[fe80::1%x y]:1") }, `address "[fe80::1%x y]:1" is not a plain IP address and port`},
		{"no prefix", func(_ *HAProxyData, f *HAProxyFrontend) { f.Allow[0] = netip.Prefix{} }, `prefix "invalid Prefix" is not a plain IP prefix`},
		{"no connections", func(d *HAProxyData, _ *HAProxyFrontend) { d.MaxConn = 0 }, "count 0 is less than 1"},
		{"no interval", func(_ *HAProxyData, f *HAProxyFrontend) { f.Check.Every = 0 }, "duration 0s is less than 1 ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := data()
			tt.change(&d, &d.Frontends[0])
			out, err := HAProxy(d)
			if err == nil || !strings.HasSuffix(err.Error(), tt.want) || out != nil {
				t.Errorf("got %q, %v; want %s", out, err, tt.want)
			}
		})
	}
}
