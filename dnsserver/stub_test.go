package dnsserver

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// F13: systemd-resolved may ask us, so we ask the servers that it asks.
func TestStubOfSystemdResolvedIsNotAsked(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	tests := []struct {
		name, conf  string
		given, want []string
		wrong       string
	}{
		{"an ordinary upstream stays", "", []string{"192.0.2.1:53"}, []string{"192.0.2.1:53"}, ""},
		{"a stub is replaced", "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch lab.test\n", []string{"127.0.0.53:53"}, []string{"192.0.2.1:53", "[2001:db8::1]:53"}, ""},
		{"beside another", "nameserver 192.0.2.1\n", []string{"198.51.100.1:53", "127.0.0.54:53"}, []string{"198.51.100.1:53", "192.0.2.1:53"}, ""},
		{"a stub behind the stub", "nameserver 127.0.0.53\n", []string{"127.0.0.53:53"}, nil, "names no server"},
		{"no file", "-", []string{"127.0.0.53:53"}, nil, "upstream 127.0.0.53:53 is systemd-resolved on this host"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			os.Remove(conf)
			if test.conf != "-" {
				if err := os.WriteFile(conf, []byte(test.conf), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := pastStubs(addrPorts(test.given), conf)
			if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
				t.Fatalf("error %v, want %q", err, test.wrong)
			}
			if diff := cmp.Diff(addrPorts(test.want), got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
				t.Errorf("upstreams (-want +got):\n%s", diff)
			}
		})
	}
}

func addrPorts(texts []string) (all []netip.AddrPort) {
	for _, text := range texts {
		all = append(all, netip.MustParseAddrPort(text))
	}
	return all
}
