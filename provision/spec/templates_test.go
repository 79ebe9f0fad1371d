package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTemplatesAreValidAndFormatted(t *testing.T) {
	want := map[string]string{"ha": "3+2", "compact": "3+0", "sno": "1+0", "dhcp": "3+2"}
	for _, name := range Templates() {
		text, ok := Template(name)
		if !ok {
			t.Fatal("no template ", name)
		}
		s, diags, _ := load(t, string(text))
		if len(diags) > 0 {
			t.Errorf("%s: %v", name, said(diags))
			continue
		}
		if got := topology(s.Clusters[0]); got != want[name] {
			t.Errorf("%s makes %s nodes, want %s", name, got, want[name])
		}
		formatted, _, _ := Rewrite(name, text)
		if diff := cmp.Diff(string(formatted), string(text)); diff != "" {
			t.Errorf("%s is not formatted (-want +got):\n%s", name, diff)
		}
		if !strings.Contains(string(text), "# yours") {
			t.Errorf("%s does not say what to replace", name)
		}
	}
	if _, ok := Template("nonsense"); ok {
		t.Error("there is a template called nonsense")
	}
}

func topology(c Cluster) string {
	counts := map[Role]rune{ControlPlane: '0', Worker: '0'}
	for _, n := range c.Nodes {
		counts[n.Role]++
	}
	return string([]rune{counts[ControlPlane], '+', counts[Worker]})
}

func TestRewrite(t *testing.T) {
	for _, tt := range []struct{ name, text, want, said string }{
		{"a.hcl", "locals {\na=1\n  bc = 2 # x\n}\n", "locals {\n  a  = 1\n  bc = 2 # x\n}\n", ""},
		{"a.hcl.json", "{\"a\":1}", "{\"a\":1}", ""},
		{"a.hcl", "locals {\na=\n}\n", "locals {\na=\n}\n", "Invalid expression"},
	} {
		got, diags, _ := Rewrite(tt.name, []byte(tt.text))
		summary := ""
		if len(diags) > 0 {
			summary = diags[0].Summary
		}
		if string(got) != tt.want || summary != tt.said {
			t.Errorf("%q becomes %q, %q", tt.text, got, summary)
		}
	}
}
