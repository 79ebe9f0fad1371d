package all

import (
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func body(t *testing.T, text string) hcl.Body {
	t.Helper()
	file, diags := hclsyntax.ParseConfig([]byte(text), "lab.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return file.Body
}

func nothing(string) (string, bool) { return "", false }

func TestEachTypeOpens(t *testing.T) {
	minimal := map[string]string{"assisted": `endpoint = "http://192.0.2.9:8090"`}
	for _, name := range Types() {
		b := body(t, minimal[name])
		if diags := Validate(name, b, nil); diags.HasErrors() {
			t.Error(diags)
		}
		if engine, diags := Open(name, b, nil, nothing, 1); diags.HasErrors() || engine == nil {
			t.Errorf("%s: %v", name, diags)
		}
	}
}

func TestDiagnostics(t *testing.T) {
	for _, c := range []struct{ name, installer, body, want string }{
		{"an unknown type", "kickstart", "",
			`lab.hcl:1,1-1: Unknown installer; There is no installer "kickstart". Write one of: assisted.`},
		{"what the installer finds", "assisted", `endpoint = "ai"`,
			`lab.hcl:1,12-16: Invalid endpoint; "ai" is not the URL of an assisted service. Write one such as http://192.0.2.9:8090.`},
		{"a file that is not there", "assisted", "endpoint = \"https://ai.lab.test\"\nca = \"/absent/ca.pem\"",
			`lab.hcl:1,1-1: Installer cannot be used; Installer assisted: read certificate authority: open /absent/ca.pem: no such file or directory.`},
	} {
		t.Run(c.name, func(t *testing.T) {
			engine, diags := Open(c.installer, body(t, c.body), nil, nothing, 1)
			if engine != nil || len(diags) != 1 || diags[0].Error() != c.want {
				t.Errorf("got %v\nwant %s", diags, c.want)
			}
		})
	}
}
