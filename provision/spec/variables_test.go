package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"

	"github.com/slipway-project/slipway/internal/secret"
)

// loadWith is load with values from outside.
func loadWith(t testing.TB, text string, opts Options) (*Spec, hcl.Diagnostics, map[string]*hcl.File) {
	t.Helper()
	opts.ProviderTypes, opts.InstallerTypes = known.ProviderTypes, known.InstallerTypes
	if opts.WorkDir == "" {
		opts.WorkDir = t.TempDir()
	}
	write(t, opts.WorkDir, "cluster.hcl", text)
	return Load([]string{"cluster.hcl"}, opts)
}

func environment(pairs ...string) func(string) (string, bool) {
	env := map[string]string{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func TestTheNearestValueWins(t *testing.T) {
	const text = "variable \"d\" {\n  type    = string\n  default = \"default.test\"\n  env     = [\"LAB\", \"LAB2\"]\n}\n"
	dir := t.TempDir()
	write(t, dir, "a.vars", "d = \"a.test\"\n")
	write(t, dir, "b.json", `{"d": "b.test"}`)
	lab, lab2, own := "LAB=env.test", "LAB2=env2.test", "SLIPWAY_VAR_d=own.test"
	for _, tt := range []struct {
		name string
		opts Options
		want string
	}{
		{"the default", Options{LookupEnv: environment()}, "default.test"},
		{"the second name of env", Options{LookupEnv: environment(lab2)}, "env2.test"},
		{"the first name of env", Options{LookupEnv: environment(lab, lab2)}, "env.test"},
		{"SLIPWAY_VAR_d over env", Options{LookupEnv: environment(lab, own)}, "own.test"},
		{"a file over the environment", Options{LookupEnv: environment(own), VarFiles: []string{"a.vars"}}, "a.test"},
		{"the last file, in JSON", Options{LookupEnv: environment(own), VarFiles: []string{"a.vars", "b.json"}}, "b.test"},
		{"an argument over files", Options{VarFiles: []string{"b.json"}, Vars: []string{"d=arg.test"}}, "arg.test"},
		{"the last argument", Options{Vars: []string{"d=x.test", "d=last.test"}}, "last.test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.opts.WorkDir = dir
			s, diags, _ := loadWith(t, text+strings.Replace(valid, `"lab.test"`, `var.d`, 1), tt.opts)
			if s == nil || s.Clusters[0].Domain != tt.want {
				t.Errorf("spec %v, %v, want %s", s, said(diags), tt.want)
			}
		})
	}
}

func TestValuesHaveTheDeclaredType(t *testing.T) {
	for _, tt := range []struct{ variable, given, expr, want string }{
		{`type = string`, `3`, `"lab${var.x}.test"`, "lab3.test"},
		{`type = number`, `3`, `"lab${var.x + 1}.test"`, "lab4.test"},
		{`type = bool`, `true`, `var.x ? "yes.test" : "no.test"`, "yes.test"},
		{`type = list(string)`, `["a", "b"]`, `join(".", var.x)`, "a.b"},
		{`type = set(string)`, `["b", "a", "b"]`, `join(".", var.x)`, "a.b"},
		{`type = map(string)`, `{a = "b"}`, `"${var.x.a}.test"`, "b.test"},
		{`type = map(string)`, `{"a": "b"}`, `"${var.x["a"]}.test"`, "b.test"},
		{`type = object({ a = string, b = optional(string, "c") })`, `{a = "b"}`, `"${var.x.a}.${var.x.b}"`, "b.c"},
		{`type = any`, `["a", 1]`, `"a${length(var.x)}.test"`, "a2.test"},
		{`default = 7`, `8`, `"a${var.x + 1}.test"`, "a9.test"},
		{`default = ["a"]`, `["b", "c"]`, `join(".", var.x)`, "b.c"},
		{`default = "a"`, `[b].test`, `"${trimspace(replace(replace(var.x, "[", ""), "]", ""))}"`, "b.test"},
		{`description = "any"`, `b.test`, `var.x`, "b.test"},
	} {
		text := "variable \"x\" {\n  " + tt.variable + "\n}\n" + strings.Replace(valid, `"lab.test"`, tt.expr, 1)
		s, diags, _ := loadWith(t, text, Options{Vars: []string{"x=" + tt.given}})
		if s == nil || s.Clusters[0].Domain != tt.want {
			t.Errorf("%s, %s: %v, want %s", tt.variable, tt.given, said(diags), tt.want)
		}
	}
}

func TestValuesThatDoNotFit(t *testing.T) {
	for _, tt := range []struct{ variable, given, want string }{
		{`type = number`, `three`, `1,1-13: Invalid value of a variable: --var x: a number is required. Write a number for variable "x".`},
		{`type = list(string)`, `a, b`, `1,1-13: Invalid value of a variable: --var x: it is no HCL value; write lists as ["a", "b"], maps as {a = "b"}, strings as "a". Write a value of type list(string) for variable "x".`},
		{`type = list(string)`, `[local.a]`, `1,1-13: Invalid value of a variable: --var x: it is no HCL value; write lists as ["a", "b"], maps as {a = "b"}, strings as "a". Write a value of type list(string) for variable "x".`},
		{`type = any`, strings.Repeat("[", 200), `1,1-13: Invalid value of a variable: --var x: it is no HCL value; write lists as ["a", "b"], maps as {a = "b"}, strings as "a". Write any value for variable "x".`},
		{`type = map(number)`, `{a = "b"}`, `1,1-13: Invalid value of a variable: --var x: a number is required. Write a value of type map(number) for variable "x".`},
	} {
		_, diags, _ := loadWith(t, "variable \"x\" {\n  "+tt.variable+"\n}\n"+valid, Options{Vars: []string{"x=" + tt.given}})
		if diff := cmp.Diff([]string{tt.want}, said(diags)); diff != "" {
			t.Errorf("%s, %s: (-want +got):\n%s", tt.variable, tt.given, diff)
		}
	}
}

func TestVariablesAndLocalsMayNeedEachOther(t *testing.T) {
	text := "variable \"a\" { default = local.b }\nlocals { b = \"${var.c}.test\" }\nvariable \"c\" { default = \"deep\" }\n" + strings.Replace(valid, `"lab.test"`, "var.a", 1)
	s, diags, _ := load(t, text)
	if s == nil || s.Clusters[0].Domain != "deep.test" {
		t.Errorf("%v", said(diags))
	}
}

// pullOf loads a spec whose pull secret is a sensitive variable.
func pullOf(t *testing.T, block string, opts Options) (secret.Value, hcl.Diagnostics, map[string]*hcl.File) {
	t.Helper()
	text := "variable \"x\" {\n  sensitive = true\n" + block + "}\n" + strings.Replace(valid, "= secret.pull", "= var.x", 1)
	s, diags, files := loadWith(t, text, opts)
	if s == nil {
		return secret.Value{}, diags, files
	}
	return s.Clusters[0].PullSecret, diags, files
}

func TestSensitiveVariablesAreSecrets(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "x.vars", "x = \"from file\"\n")
	write(t, dir, "pull.json", "from secret\n")
	for _, tt := range []struct {
		name, block string
		opts        Options
		want, err   string
	}{
		{"the environment", "", Options{LookupEnv: environment("SLIPWAY_VAR_x=from env\n")}, "from env", ""},
		{"another name there", "  env = \"PULL\"\n", Options{LookupEnv: environment("PULL=named")}, "named", ""},
		{"a file", "", Options{LookupEnv: environment("SLIPWAY_VAR_x=from env"), VarFiles: []string{"x.vars"}}, "from file", ""},
		{"another secret as the default", "  default = secret.pull\n", Options{LookupEnv: environment()}, "from secret", ""},
		{"nothing: told when it is needed", "  env = \"PULL\"\n", Options{LookupEnv: environment()}, "",
			"read secret from environment variable SLIPWAY_VAR_x or PULL (variable \"x\", cluster.hcl:1,1-13): not set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.opts.WorkDir = dir
			v, diags, _ := pullOf(t, tt.block, tt.opts)
			got, err := v.Reveal()
			told := ""
			if err != nil {
				told = err.Error()
			}
			if len(diags) > 0 || got != tt.want || told != tt.err {
				t.Errorf("%q, %q, %v", got, told, said(diags))
			}
		})
	}
}

// Whatever is wrong, a secret that is given from outside is not printed.
func TestSensitiveValuesAreNeverPrinted(t *testing.T) {
	const planted = "planted-93b2"
	for name, tt := range map[string]struct {
		block, use string
		vars       []string
		file       string
	}{
		"in an argument":            {vars: []string{"x=" + planted}},
		"in an argument without =":  {vars: []string{planted}},
		"for an unknown variable":   {file: "xx = \"" + planted + "\""},
		"of a wrong type":           {file: "x = [\"" + planted + "\"]"},
		"without quotes":            {file: "x = " + planted},
		"as a function":             {file: "x = " + strings.ReplaceAll(planted, "-", "_") + "(1)"},
		"in a block":                {file: "x \"" + planted + "\" {}"},
		"in a line that is none":    {file: planted + planted + " =\n = \"" + planted},
		"beside a wrong value":      {block: "variable \"n\" { type = number }\n", file: "x = \"" + planted + "\"\nn = \"three\""},
		"in a string":               {use: "\"${var.x}.test\"", file: "x = \"" + planted + "\""},
		"in a number":               {use: "var.x + 1", file: "x = \"" + planted + "\""},
		"in JSON":                   {use: "jsonencode(var.x)", file: "x = \"" + planted + "\""},
		"compared":                  {use: "var.x == \"a\" ? 1 : [2]", file: "x = \"" + planted + "\""},
		"as an index":               {use: "{ a = 1 }[var.x]", file: "x = \"" + planted + "\""},
		"in an error of a function": {use: "regex(var.x, var.x)", file: "x = \"" + planted + "\""},
	} {
		t.Run(name, func(t *testing.T) {
			opts := Options{WorkDir: t.TempDir(), Vars: tt.vars, LookupEnv: environment("SLIPWAY_VAR_x=" + planted)}
			if tt.file != "" {
				write(t, opts.WorkDir, "x.vars", tt.file)
				opts.VarFiles = []string{"x.vars"}
			}
			text := "variable \"x\" { sensitive = true }\n" + tt.block + valid
			if tt.use != "" {
				text = strings.Replace(text, `"lab.test"`, tt.use, 1)
			}
			_, diags, files := loadWith(t, text, opts)
			if !diags.HasErrors() {
				t.Error("no error")
			}
			if out := printed(t, diags, files, true); strings.Contains(out, planted) || strings.Contains(out, strings.ReplaceAll(planted, "-", "_")) {
				t.Errorf("printed:\n%s", out)
			}
		})
	}
}

func TestVariableFileThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	_, diags, _ := loadWith(t, valid, Options{WorkDir: dir, VarFiles: []string{"none.vars"}})
	want := []string{"Cannot read the variables: There is no file " + dir + "/none.vars. Write one, or name another with --var-file FILE."}
	if diff := cmp.Diff(want, said(diags)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The values that are given once can be given again, by the environment alone.
func TestGivenValuesCanBeHandedOn(t *testing.T) {
	const text = "variable \"a\" { type = list(string) }\nvariable \"b\" { default = 1 }\nvariable \"c\" { sensitive = true }\nvariable \"d\" { type = object({ e = string, f = bool }) }\nvariable \"g\" {\n  type = string\n  env = \"G\"\n}\n"
	opts := Options{WorkDir: t.TempDir(), Vars: []string{`a=["x"]`}, VarFiles: []string{"x.vars"}, LookupEnv: environment("G=7", "SLIPWAY_VAR_c=hidden")}
	write(t, opts.WorkDir, "x.vars", "d = {\n  e = \"y\"\n  f = true\n}\n")
	s, diags, _ := loadWith(t, text+valid, opts)
	if s == nil {
		t.Fatal(said(diags))
	}
	want := []Variable{{Name: "a", Given: true, Text: `["x"]`}, {Name: "b"}, {Name: "c", Sensitive: true},
		{Name: "d", Given: true, Text: "{\n  e = \"y\"\n  f = true\n}"}, {Name: "g", Given: true, Text: "7"}}
	if diff := cmp.Diff(want, s.Variables); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var env []string
	for _, v := range s.Variables {
		if v.Given {
			env = append(env, VariablePrefix+v.Name+"="+v.Text)
		}
	}
	again, diags, _ := loadWith(t, text+valid, Options{LookupEnv: environment(env...)})
	if again == nil {
		t.Fatal(said(diags))
	}
	if diff := cmp.Diff(want, again.Variables); diff != "" {
		t.Errorf("handed on (-want +got):\n%s", diff)
	}
}

// A variable that is null leaves out the line it is used in.
func TestNullIsLeftOut(t *testing.T) {
	text := "variable \"n\" { default = null }\n" + strings.NewReplacer(`gateway = "192.0.2.1"`, "gateway = \"192.0.2.1\"\n  upstream = var.n",
		"  pull_secret = secret.pull", "  pull_secret = var.n\n  ttl = var.n\n  protect = var.n", "services { address", "services {\n mode = var.n\n dns { mode = var.n }\n load_balancer { mode = var.n }\n address",
		`"192.0.2.210" }`, "\"192.0.2.210\"\n}", "{ count = 2 }", "{\n count = 2\n cpus = var.n\n addresses = var.n\n for_each = var.n\n}").Replace(valid)
	s, diags, _ := load(t, text)
	if s == nil || len(diags) > 0 {
		t.Fatal(said(diags))
	}
	c := s.Clusters[0]
	last := c.Nodes[len(c.Nodes)-1]
	if c.PullSecret.Set() || c.TTL != 0 || len(c.Network.Upstream) != 1 || last.CPUs != defaultCPUs || last.Address.String() != "192.0.2.215" {
		t.Errorf("cluster %+v", c)
	}
	if s, diags, _ = loadWith(t, text, Options{Vars: []string{"n=8h"}}); s != nil {
		t.Errorf("8h is taken for everything: %v", said(diags))
	}
}
