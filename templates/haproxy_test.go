package templates

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The template must not print a value as it is: each action is control flow or
// begins with the function of the value's type.
func TestEveryValueHasAPrinter(t *testing.T) {
	action := regexp.MustCompile(`\{\{-? *([a-z]*)[^}]*\}\}`)
	allowed := "range if else end name path addr prefix count port time"
	actions := action.FindAllStringSubmatch(haproxyText, -1)
	if len(actions) < 30 || len(actions) != strings.Count(haproxyText, "{{") {
		t.Fatalf("%d actions found in %d", len(actions), strings.Count(haproxyText, "{{"))
	}
	for _, a := range actions {
		if a[1] == "" || !strings.Contains(" "+allowed+" ", " "+a[1]+" ") {
			t.Errorf("%s prints without a type", a[0])
		}
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
