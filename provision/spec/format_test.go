package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
)

func printed(t testing.TB, diags hcl.Diagnostics, files map[string]*hcl.File, color bool) string {
	t.Helper()
	var b strings.Builder
	if err := Format(diags, files, &b, color, 80); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFormat(t *testing.T) {
	_, diags, files := load(t, edited(t, []edit{{`{ count = 3 }`, "{\n    count = 3\n    macs = [\"52:54:zz\", \"52:54:00:ab:cd:01\", \"52:54:00:ab:cd:02\"]\n  }"}, {`192.0.2.210`, `198.51.100.210`}}))
	want := `warning: cluster.hcl:12,24-40: Services outside of the network

  on cluster.hcl line 12, in cluster "mycluster":
  12:   services { address = "198.51.100.210" }

198.51.100.210 is not in network 192.0.2.0/24. Nodes reach DNS and load balancer
through their gateway; see that it routes there, or write an address in
192.0.2.0/24.

error: cluster.hcl:15,13-23: Invalid MAC address

  on cluster.hcl line 15, in cluster "mycluster":
  15:     macs = ["52:54:zz", "52:54:00:ab:cd:01", "52:54:00:ab:cd:02"]

Node "control-0": "52:54:zz" is not a MAC address. Write six hex bytes, such as
52:54:00:ab:cd:01.

`
	if diff := cmp.Diff(want, printed(t, diags, files, false)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	colored := printed(t, diags, files, true)
	if !strings.HasPrefix(colored, "\x1b[33mwarning\x1b[0m: cluster.hcl:12,24-40: Services") || !strings.Contains(colored, "\x1b[1;4m\"52:54:zz\"\x1b[0m") {
		t.Errorf("colored:\n%q", colored)
	}
}

func TestFormatWithoutAPlace(t *testing.T) {
	_, diags, files := Load([]string{"none.hcl"}, Options{WorkDir: "/nonexistent"})
	want := "error: Cannot read the spec\n\nThere is no file /nonexistent/none.hcl. Write one, or name another with -f FILE.\n\n"
	if diff := cmp.Diff(want, printed(t, diags, files, false)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFormatPrintsNoSecret(t *testing.T) {
	for name, edits := range map[string][]edit{
		"a literal pull secret":           {{`secret.pull`, `"hunter2"`}},
		"a pull secret computed in place": {{`secret.pull`, `join("", ["hunter2"])`}},
		"a pull secret in a heredoc":      {{`secret.pull`, "<<E\n  hunter2\nE"}},
		"a literal beside a syntax error": {{`secret.pull`, `"hunter2" oops`}},
		"a token that is never closed":    {{`{ endpoint = "https://pve.lan:8006" }`, "{\n  token = \"hunter2\n}"}},
		"a provider's password":           {{`{ endpoint = "https://pve.lan:8006" }`, "{ password = \"hunter2${local.x}\" }"}},
		"a secret for a variable's name":  {{`file = "pull.json"`, `env = "hunter2!"`}},
		"a private key for a public one":  {{`services {`, "ssh { authorized_keys = [\"hunter2\"] }\n  services {"}},
		"a local that is a secret":        {{`secret "pull"`, "locals { x = \"hunter2\" }\nsecret \"pull\""}, {`"lab.test"`, `local.x.y`}},
	} {
		_, diags, files := load(t, edited(t, edits))
		text := printed(t, diags, files, true)
		if !diags.HasErrors() || strings.Contains(text, "hunter2") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

func TestJSONSecretsAreMasked(t *testing.T) {
	const text = `{"cluster": {"c": {"pull_secret": "hunter2", "domain": 7, "x": "y"}}}`
	masked := mask("c.hcl.json", &hcl.File{Bytes: []byte(text)}, nil)
	if want := strings.ReplaceAll(text, "hunter2", "*******"); !strings.HasPrefix(string(masked.Bytes), want[:45]) {
		t.Errorf("masked %s", masked.Bytes)
	}
}

func TestTidyDropsWhatFollowsInOtherPackages(t *testing.T) {
	s, diags, _ := load(t, valid)
	file, _ := parseText("cluster.hcl", []byte("endpoint = local.nope\ntoken = 5\nstorage = \"local\"\n"))
	var p providerBody
	diags = append(diags, gohcl.DecodeBody(file.Body, s.Providers[0].Context, &p)...)
	before := len(diags)
	got := said(Tidy(diags))
	if before != 3 || len(got) != 2 || !strings.HasPrefix(got[0], "1,17-22: Unsupported attribute") || !strings.HasPrefix(got[1], "3,12-17: Unsuitable value type") {
		t.Errorf("%d diagnostics, tidied:\n%s", before, strings.Join(got, "\n"))
	}
}

func TestWhatIsNoSpecIsSoonSaid(t *testing.T) {
	for name, text := range map[string]string{
		"a binary":              strings.Repeat("\xff$\x00", maxSpec/3),
		"one endless character": "a = e" + strings.Repeat("\u0301", maxSpec/2-10),
		"one endless line":      strings.Repeat("$", maxSpec),
		"many short errors":     strings.Repeat("$\n", maxSpec/2),
		"a long list of blocks": strings.Repeat("locals { a = 1 }\n", maxSpec/18),
	} {
		_, diags, files := load(t, text)
		out := printed(t, diags, files, false)
		if n := strings.Count(out, "error: "); !diags.HasErrors() || n > maxPrinted {
			t.Errorf("%s: %d problems are printed", name, n)
		}
	}
}

func TestSyntaxErrorsAreCut(t *testing.T) {
	_, diags, _ := load(t, strings.Repeat("$\n", 50))
	last := said(diags)[len(diags)-1]
	if len(diags) != maxSyntax+1 || !strings.Contains(last, "More errors of syntax: There are ") {
		t.Errorf("%d diagnostics, the last %s", len(diags), last)
	}
}
