package spec

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"
)

const planted = "planted-7c1f"

// fuzzed are options under which every secret is the planted one.
func fuzzed(f *testing.F) Options {
	opts := known
	opts.LookupEnv = func(string) (string, bool) { return planted, true }
	opts.WorkDir = f.TempDir()
	opts.Home = func() string { return opts.WorkDir }
	write(f, opts.WorkDir, "pull.json", planted)
	return opts
}

// sane is what holds of whatever Load returns: a spec or an error, soon, and
// a spec only with nodes that can be planned.
func sane(t *testing.T, text string, opts Options) {
	t.Helper()
	opts.Stdin = strings.NewReader(text)
	saneFile(t, "-", text, opts)
}

func saneFile(t *testing.T, path, text string, opts Options) {
	t.Helper()
	began := time.Now()
	s, diags, files := Load([]string{path}, opts)
	out := printed(t, diags, files, true)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	if (s == nil) != diags.HasErrors() {
		t.Errorf("spec %v, %v", s, said(diags))
	}
	if s != nil {
		for _, c := range s.Clusters {
			complete(t, c)
		}
	}
	if !reads(text) && strings.Contains(out, planted) {
		t.Errorf("the secret is printed:\n%s", out)
	}
}

// reads reports whether the spec itself may hold or read the planted text: a
// variable that is not sensitive is no secret.
func reads(text string) bool {
	return strings.Contains(text, planted) || strings.Contains(text, "file(") || strings.Contains(text, "variable")
}

func complete(t *testing.T, c Cluster) {
	t.Helper()
	names, control := map[string]bool{}, 0
	for _, n := range c.Nodes {
		if names[n.Name] || n.MAC == nil || !n.Network.CIDR.IsValid() || n.Address.IsValid() && n.Network.unfit(n.Address) != "" {
			t.Errorf("node %+v", n)
		}
		names[n.Name] = true
		if n.Role == ControlPlane {
			control++
		}
	}
	if !slices.Contains(controlPlanes, control) {
		t.Errorf("%d control plane nodes", control)
	}
}

// FuzzLoad feeds arbitrary bytes: whatever they are, there is a spec or an
// error, and no secret that the spec may refer to is printed.
func FuzzLoad(f *testing.F) {
	for _, example := range []string{"minimal", "proxmox-ha"} {
		text, err := os.ReadFile(filepath.Join("../../examples", example, "cluster.hcl"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, name := range Templates() {
		text, _ := Template(name)
		f.Add(text)
	}
	f.Add([]byte(valid))
	f.Add([]byte("variable \"x\" {\n  type = object({ a = optional(string, \"b\") })\n  default = {}\n  validation {\n    condition = var.x.a != \"\"\n    error_message = \"no\"\n  }\n}\n" + valid))
	for _, p := range problems {
		text := valid
		for _, e := range p.edits {
			text = strings.Replace(text, e.old, e.new, 1)
		}
		f.Add([]byte(text))
	}
	opts := fuzzed(f)
	f.Fuzz(func(t *testing.T, text []byte) { sane(t, string(text), opts) })
}

// FuzzJSON feeds what stands in a cluster, in JSON.
func FuzzJSON(f *testing.F) {
	for _, body := range []string{
		`"domain": "${local.a}", "release": "okd-4.20", "pull_secret": "${secret.pull}"`,
		`"check": {"a": {"get": "https://${self.fqdn}"}}, "machines": [{"worker": {"for_each": {"a": 1}, "cpus": "${each.value}"}}]`,
		`"machines": {"worker": {"count": "${2 + 1}", "labels": {"${local.a}": "x"}}}, "domain": "lab.test"`, `"domain": "${secret.pull}"`, `"domain": []`, `"": {}`,
	} {
		f.Add(body)
	}
	opts := fuzzed(f)
	f.Fuzz(func(t *testing.T, body string) {
		text := `{"provider": {"proxmox": {"home": {"endpoint": "https://pve.lan:8006"}}}, "locals": {"a": "lab.test"}, "secret": {"pull": {"file": "pull.json"}},
  "network": {"lan": {"cidr": "192.0.2.0/24", "gateway": "192.0.2.1"}}, "cluster": {"mycluster": {
    "installer": {"assisted": {"endpoint": "http://192.0.2.9:8090"}}, "services": {"address": "192.0.2.210"}, "machines": {"control": {"count": 3}}, ` + body + `}}}`
		write(t, opts.WorkDir, "cluster.hcl.json", text)
		saneFile(t, "cluster.hcl.json", text, opts)
	})
}

// FuzzMachines feeds what stands in a machines block.
func FuzzMachines(f *testing.F) {
	for _, body := range []string{
		`count = 2`, "for_each = { a = \"192.0.2.204\", b = \"dhcp\" }\naddresses = each.value", `for_each = toset(["a", "b"])`,
		"count = 3\naddresses = cidrhost(\"192.0.2.0/24\", count.index + 20)", "count = 10000", "for_each = { a = secret.pull }\ncpus = each.value",
		"addresses = \"dhcp\"\nmacs = [\"52:54:00:ab:cd:01\"]", "count = 2\nrole = count.index == 0 ? \"control-plane\" : \"worker\"",
		"for_each = { for i in range(300) : \"n${i}\" => i }\nmemory = 16384 + each.value\nlabels = { n = each.key }", "for_each = null", "for_each = { (null) = 1 }",
		"for_each = toset([null])", "for_each = toset([secret.pull])", "count = count.index", "labels = { a = secret.pull }\ncount = 1",
	} {
		f.Add(body)
	}
	opts := fuzzed(f)
	f.Fuzz(func(t *testing.T, body string) {
		sane(t, strings.Replace(valid, `{ count = 2 }`, "{\n"+body+"\n}", 1), opts)
	})
}

// FuzzVariable feeds a type and the text of a value. What is taken has the type.
func FuzzVariable(f *testing.F) {
	for _, seed := range [][2]string{
		{"string", "a"}, {"number", "1e400"}, {"bool", "yes"}, {"list(string)", `["a", 1]`}, {"map(any)", `{a = [], b = {}}`}, {"any", `{"a": null}`},
		{"object({ a = optional(string, \"b\"), c = list(object({ d = number })) })", `{c = [{d = 1}]}`}, {"set(string)", `[null]`}, {"tuple([string, bool])", `["a", "true"]`},
		{"map(string)", `null`}, {"any", "<<EOT\nx\nEOT\n"}, {"list(number)", "[for i in [1] : i]"},
	} {
		f.Add(seed[0], seed[1])
	}
	opts := fuzzed(f)
	f.Fuzz(func(t *testing.T, typeText, value string) {
		in := opts
		in.Vars = []string{"x=" + value}
		sane(t, "variable \"x\" {\n  type = "+typeText+"\n}\n"+valid, in)
		in.Vars = []string{value}
		sane(t, "variable \"x\" {\n  type = "+typeText+"\n  default = null\n}\n"+valid, in)
		if got, err := literal(value); err == nil && (got == cty.NilVal || !got.IsWhollyKnown()) {
			t.Errorf("%q is %#v", value, got)
		}
	})
}

// FuzzSensitive feeds expressions with a sensitive variable in them.
func FuzzSensitive(f *testing.F) {
	for _, expr := range []string{`var.x`, `"${var.x}.test"`, `jsonencode(var.x)`, `regex(var.x, "a")`, `[var.x][0] + 1`, `lookup({ a = 1 }, var.x)`, `var.x == "a"`,
		`format("%s", var.x)`, `try(tonumber(var.x), "x")`, `tostring(var.x)`, `{ (var.x) = 1 }`, `toset([var.x])`, `join("", [var.x])`, `keys({ a = var.x })`, `zipmap([var.x], [1])`} {
		f.Add(expr)
	}
	opts := known
	opts.WorkDir = f.TempDir()
	opts.LookupEnv = func(string) (string, bool) { return planted, true }
	write(f, opts.WorkDir, "x.vars", "x = \""+planted+"\"\n")
	opts.VarFiles = []string{"x.vars"}
	f.Fuzz(func(t *testing.T, expr string) {
		in := opts
		in.Stdin = strings.NewReader("variable \"x\" { sensitive = true }\nlocals {\n  y = " + expr + "\n}\n" + strings.Replace(valid, `"lab.test"`, "local.y", 1))
		_, diags, files := Load([]string{"-"}, in)
		if out := printed(t, diags, files, false); strings.Contains(out, planted) && !reads(expr) {
			t.Errorf("the secret is printed:\n%s", out)
		}
	})
}

// FuzzVarFile feeds files of variables: no line of them is ever printed.
func FuzzVarFile(f *testing.F) {
	for _, text := range []string{"", "d = \"" + planted + "\"\n", "{\"d\": \"" + planted + "\"}", "d = [" + planted, "\"" + planted + "\" = 1", planted + " {}\n", "n = \"" + planted + "\"\n"} {
		f.Add(text, false)
		f.Add(text, true)
	}
	opts := known
	opts.WorkDir = f.TempDir()
	opts.LookupEnv = func(string) (string, bool) { return "", false }
	const declared = "variable \"d\" { sensitive = true }\nvariable \"n\" { default = 1 }\n"
	f.Fuzz(func(t *testing.T, text string, asJSON bool) {
		in, name := opts, "x.vars"
		if asJSON {
			name += ".json"
		}
		write(t, in.WorkDir, name, text)
		in.VarFiles = []string{name}
		in.Stdin = strings.NewReader(declared + valid)
		_, diags, files := Load([]string{"-"}, in)
		out := printed(t, diags, files, true)
		if strings.Contains(text, planted) && strings.Contains(out, planted) && !strings.Contains(out, "There is no variable") && !strings.Contains(out, "nknown variable") {
			t.Errorf("the secret is printed:\n%s", out)
		}
	})
}
