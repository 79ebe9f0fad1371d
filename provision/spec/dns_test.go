package spec

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func loadDNS(t *testing.T, block string) (*Spec, string) {
	t.Helper()
	text, err := os.ReadFile("../../examples/minimal/cluster.hcl")
	if err != nil {
		t.Fatal(err)
	}
	changed := "secret \"tsig\" {\n  env = \"TSIG\"\n}\n" + strings.Replace(string(text), `services { address = "192.0.2.210" }`,
		"services {\n    address = \"192.0.2.210\"\n"+block+"\n  }", 1)
	path := filepath.Join(t.TempDir(), "cluster.hcl")
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	s, diags, _ := Load([]string{path}, Options{})
	var words []string
	for _, d := range diags {
		words = append(words, d.Summary+": "+d.Detail)
	}
	return s, strings.Join(words, "\n")
}

func TestDNSModes(t *testing.T) {
	tests := []struct {
		name, block string
		mode        DNSMode
		resolver    string
	}{
		{"none", "", DNSEmbedded, "192.0.2.210"},
		{"embedded", `dns { mode = "embedded" }`, DNSEmbedded, "192.0.2.210"},
		{"external", "dns {\n mode = \"external\"\n server = \"192.0.2.53\"\n}", DNSExternal, "192.0.2.53"},
		{"rfc2136", "dns {\n mode = \"rfc2136\"\n server = \"192.0.2.53:53\"\n key = \"slipway\"\n secret = secret.tsig\n}", DNSRFC2136, "192.0.2.53"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, problems := loadDNS(t, test.block)
			if s == nil {
				t.Fatal(problems)
			}
			got := s.Clusters[0].Services
			if got.DNS.Mode != test.mode || got.Resolvers()[0] != netip.MustParseAddr(test.resolver) {
				t.Errorf("mode %q, resolver %s", got.DNS.Mode, got.Resolvers())
			}
			if test.mode == DNSRFC2136 && (got.DNS.Key.Name != "slipway." || got.DNS.Key.Algorithm != "hmac-sha256" || !got.DNS.Key.Secret.Set()) {
				t.Errorf("key %+v", got.DNS.Key)
			}
		})
	}
}

func TestDNSProblems(t *testing.T) {
	tests := []struct{ name, block, want string }{
		{"unknown mode", `dns { mode = "bind" }`, `Invalid mode: "bind" is not one of embedded, rfc2136, external`},
		{"server missing", `dns { mode = "external" }`, `"server" is required. Write server = "192.0.2.53"`},
		{"server is no address", "dns {\n mode = \"external\"\n server = \"ns.lab.test\"\n}", `Invalid DNS server: "ns.lab.test" is not the address`},
		{"server on another port", "dns {\n mode = \"external\"\n server = \"192.0.2.53:5353\"\n}", "they ask port 53"},
		{"server without use", "dns {\n server = \"192.0.2.53\"\n}", `Unused argument: "server" would do nothing: dns mode is embedded`},
		{"key without use", "dns {\n mode = \"external\"\n server = \"192.0.2.53\"\n key = \"k\"\n}", `"key" would do nothing: dns mode is external`},
		{"key missing", "dns {\n mode = \"rfc2136\"\n server = \"192.0.2.53\"\n secret = secret.tsig\n}", `"key" is required`},
		{"literal secret", "dns {\n mode = \"rfc2136\"\n server = \"192.0.2.53\"\n key = \"k\"\n secret = \"c2VjcmV0\"\n}", "Literal secret"},
		{"unknown algorithm", "dns {\n mode = \"rfc2136\"\n server = \"192.0.2.53\"\n key = \"k\"\n algorithm = \"hmac-sha265\"\n secret = secret.tsig\n}", `Did you mean "hmac-sha256"?`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, problems := loadDNS(t, test.block)
			if !strings.Contains(problems, test.want) || strings.Contains(problems, "c2VjcmV0") {
				t.Errorf("problems %q, want %q", problems, test.want)
			}
		})
	}
}
