package assisted_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/provision/installer/assisted"
)

func decode(t *testing.T, body string, env map[string]string) (assisted.Config, hcl.Diagnostics) {
	t.Helper()
	file, diags := hclsyntax.ParseConfig([]byte(body), "/specs/lab.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	ctx := &hcl.EvalContext{Variables: map[string]cty.Value{
		"secret": cty.ObjectVal(map[string]cty.Value{"assisted": secret.ToCty(secret.Of("test", "from-secret"))}),
	}}
	return assisted.Decode(file.Body, ctx, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
}

func TestDecode(t *testing.T) {
	pin := strings.Repeat("AB:", 31) + "AB"
	type config struct{ Endpoint, Token, Fingerprint, CA string }
	tests := []struct {
		name, body string
		env        map[string]string
		want       config
	}{
		{"no token, none in the environment", `endpoint = "http://192.0.2.9:8090"`, nil, config{Endpoint: "http://192.0.2.9:8090"}},
		{"a slash and the path of the API are dropped", `endpoint = "http://192.0.2.9:8090/api/assisted-install/v2/"`, nil, config{Endpoint: "http://192.0.2.9:8090"}},
		{"token from the environment", `endpoint = "http://a.lab.test"`, map[string]string{assisted.TokenVariable: "from-env"}, config{Endpoint: "http://a.lab.test", Token: "from-env"}},
		{"a token in the block wins", "endpoint = \"http://a.lab.test\"\ntoken = secret.assisted", map[string]string{assisted.TokenVariable: "from-env"}, config{Endpoint: "http://a.lab.test", Token: "from-secret"}},
		{"fingerprint", "endpoint = \"https://a.lab.test\"\nfingerprint = \"" + strings.ToLower(pin) + `"`, nil, config{Endpoint: "https://a.lab.test", Fingerprint: pin}},
		{"ca is relative to the file", "endpoint = \"https://a.lab.test\"\nca = \"ca.pem\"", nil, config{Endpoint: "https://a.lab.test", CA: "/specs/ca.pem"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg, diags := decode(t, test.body, test.env)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			token, err := cfg.Token.Reveal()
			if err != nil {
				t.Fatal(err)
			}
			got := config{cfg.Endpoint.String(), token, cfg.Fingerprint, cfg.CA}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Decode (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeDiagnoses(t *testing.T) {
	pin := strings.Repeat("AB", 32)
	tests := []struct {
		name, body string
		want       []string
	}{
		{"no endpoint", ``, []string{"/specs/lab.hcl:1,1-1: Missing required argument"}},
		{"an endpoint without scheme", `endpoint = "192.0.2.9:8090"`, []string{"/specs/lab.hcl:1,12-28: Invalid endpoint"}},
		{"a password in the endpoint", `endpoint = "http://u:p@a.lab.test"`, []string{"/specs/lab.hcl:1,12-35: Invalid endpoint"}},
		{"a foreign path", `endpoint = "http://a.lab.test/ui"`, []string{"/specs/lab.hcl:1,12-34: Invalid endpoint"}},
		{"a literal token and a bad fingerprint", "endpoint = \"https://a.lab.test\"\ntoken = \"abc\"\nfingerprint = \"AA\"",
			[]string{"/specs/lab.hcl:3,15-19: Invalid fingerprint", "/specs/lab.hcl:2,9-14: Literal secret"}},
		{"fingerprint and ca", "endpoint = \"https://a.lab.test\"\nfingerprint = \"" + pin + "\"\nca = \"ca.pem\"", []string{"/specs/lab.hcl:3,6-14: Two trust anchors"}},
		{"a fingerprint for plain HTTP", "endpoint = \"http://a.lab.test\"\nfingerprint = \"" + pin + `"`, []string{"/specs/lab.hcl:2,15-81: Trust without TLS"}},
		{"an unknown argument", "endpoint = \"http://a.lab.test\"\ninsecure = true", []string{"/specs/lab.hcl:2,1-9: Unsupported argument"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, diags := decode(t, test.body, nil)
			var got []string
			for _, d := range diags {
				got = append(got, d.Subject.String()+": "+d.Summary)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
		})
	}
}
