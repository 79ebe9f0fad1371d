package spec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

func TestFunctions(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "motd", "hello")
	ctx := &hcl.EvalContext{Functions: functions(dir)}
	for expr, want := range map[string]string{
		`cidrhost("192.0.2.0/24", 210)`:                       "192.0.2.210",
		`cidrhost("192.0.2.0/24", -2)`:                        "192.0.2.254",
		`cidrhost("192.0.2.7/24", 1)`:                         "192.0.2.1",
		`cidrhost("2001:db8::/64", 16)`:                       "2001:db8::10",
		`cidrsubnet("192.0.2.0/24", 4, 2)`:                    "192.0.2.32/28",
		`cidrsubnet("192.0.2.0/24", 0, 0)`:                    "192.0.2.0/24",
		`try(cidrhost("192.0.2.0/24", 256), "x")`:             "x",
		`try(cidrhost("192.0.2.0/24", 0.5), "x")`:             "x",
		`try(cidrsubnet("192.0.2.0/24", 9, 0), "x")`:          "x",
		`try(cidrhost("nonsense", 1), "x")`:                   "x",
		`tostring(can(file("../motd")))`:                      "false",
		`tostring(can(file("/etc/hostname")))`:                "false",
		`tostring(can(file(".")))`:                            "false",
		`file("motd")`:                                        "hello",
		`format("%s-%02d", upper("a"), max(1, min(3, 2)))`:    "A-02",
		`join(",", concat(split("-", "a-b"), ["c"]))`:         "a,b,c",
		`jsonencode(merge({ a = 1 }, { b = [true, null] }))`:  `{"a":1,"b":[true,null]}`,
		`jsondecode("{\"a\": \"b\"}").a`:                      "b",
		`lookup({ a = "b" }, "x", replace("cc", "c", "d"))`:   "dd",
		`join(",", keys({ b = 1, a = 2 }))`:                   "a,b",
		`tostring(length(values({ a = 1 })) + tonumber("1"))`: "2",
		`join(" ", [for i in range(3) : lower("N${i}")])`:     "n0 n1 n2",
	} {
		parsed, diags := hclsyntax.ParseExpression([]byte(expr), "x", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(expr, diags)
		}
		got, diags := parsed.Value(ctx)
		if diags.HasErrors() || !got.RawEquals(cty.StringVal(want)) {
			t.Errorf("%s is %#v, want %q (%v)", expr, got, want, diags)
		}
	}
}

func TestLocalsMayStandInAnyOrder(t *testing.T) {
	s, diags, _ := load(t, "locals { domain = \"${local.sub}.test\" }\nlocals { sub = local.words.sub }\nlocals { words = { sub = \"deep\" } }\n"+
		strings.Replace(valid, `"lab.test"`, `local.domain`, 1))
	if diags.HasErrors() || s.Clusters[0].Domain != "deep.test" {
		t.Errorf("spec %v, %v", s, said(diags))
	}
}

func TestSecretsTravelThroughLocals(t *testing.T) {
	s, diags, _ := load(t, "locals { all = { pull = secret.pull } }\n"+strings.Replace(valid, `= secret.pull`, `= local.all.pull`, 1))
	if diags.HasErrors() || !s.Clusters[0].PullSecret.Set() {
		t.Errorf("spec %v, %v", s, said(diags))
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	for _, deep := range []string{"[", "(", "-", "!", "1?2:", "${", "{a=", "f(", "a[", "1+", "a."} {
		_, diags, _ := load(t, "locals {\n  a = \""+"\"\n  b = "+strings.Repeat(deep, 10000)+"\n}")
		if len(diags) != 1 || diags[0].Summary != "Nested too deeply" && deep != "${" {
			t.Errorf("%q: %v", deep, said(diags))
		}
	}
}

func TestLongListsAreNotDeep(t *testing.T) {
	list := strings.Repeat("cidrhost(\"192.0.2.0/24\", -1 + 2), [local.b[0]],\n", 500) + strings.Repeat("\"${local.b[0]}.${local.b[0]}\", ", 500)
	text := "locals {\n  a = [" + list + "]\n  b = [1]\n}\n" + valid
	if _, diags, _ := load(t, text); len(diags) > 0 {
		t.Error(said(diags)[0])
	}
}

func TestWhatWouldFillMemoryIsRefused(t *testing.T) {
	double := "locals {\n  a0 = \"" + strings.Repeat("x", 64) + "\"\n"
	for i := range 40 {
		double += fmt.Sprintf("  a%d = \"${local.a%d}${local.a%d}\"\n", i+1, i, i)
	}
	lists := strings.ReplaceAll(strings.ReplaceAll(double, "\"${", "concat([local.a0], [1, "), "}${", ", ")
	lists = strings.ReplaceAll(lists, "}\"", "])")
	for text, want := range map[string]string{
		double + "}": "Value too large",
		lists + "}":  "Value too large",
		"locals {\n  a = format(\"%999999999s\", \"x\")\n}":                                                      "Invalid function argument",
		"locals {\n  a = [for i in range(1000) : [for j in range(1000) : { for k in range(1000) : k => k }]]\n}": "Nested too deeply",
		"locals {\n  a = range(100)\n  b = [for i in local.a : [for j in local.a : j]]\n}":                       "Value too large",
	} {
		_, diags, _ := load(t, text+"\n"+valid)
		if len(diags) != 1 || diags[0].Summary != want {
			t.Errorf("%.80s: %v", text, said(diags))
		}
	}
}

func TestWhatPeopleWriteIsNotTooMuch(t *testing.T) {
	text := "locals {\n  racks = { for r in range(10) : \"r${r}\" => [for n in range(20) : format(\"%-10s|%08.3f\", \"n\", n)] }\n  all = flatten([for r in values(local.racks) : [for n in r : n]])\n}\n"
	if _, diags, _ := load(t, text+valid); len(diags) > 0 {
		t.Error(said(diags))
	}
}
