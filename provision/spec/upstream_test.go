package spec

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Nodes must find registries by name: foreign names go to the gateway unless
// the spec says where else.
func TestForeignNamesGoToTheGatewayByDefault(t *testing.T) {
	text, err := os.ReadFile("../../examples/minimal/cluster.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for added, want := range map[string]string{"": "192.0.2.1", `  upstream = ["192.0.2.53"]` + "\n": "192.0.2.53"} {
		path := filepath.Join(t.TempDir(), "cluster.hcl")
		changed := strings.Replace(string(text), "  gateway = ", added+"  gateway = ", 1)
		if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		s, diags, _ := Load([]string{path}, Options{})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if diff := cmp.Diff([]netip.Addr{netip.MustParseAddr(want)}, s.Networks[0].Upstream, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("upstream (-want +got):\n%s", diff)
		}
	}
}
