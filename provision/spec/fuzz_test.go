package spec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad feeds arbitrary bytes: whatever they are, there is a spec or an
// error, and no secret that the spec may refer to is printed.
func FuzzLoad(f *testing.F) {
	const planted = "planted-7c1f"
	for _, example := range []string{"minimal", "proxmox-ha"} {
		text, err := os.ReadFile(filepath.Join("../../examples", example, "cluster.hcl"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(valid))
	for _, p := range problems {
		text := valid
		for _, e := range p.edits {
			text = strings.Replace(text, e.old, e.new, 1)
		}
		f.Add([]byte(text))
	}
	opts := known
	opts.LookupEnv = func(string) (string, bool) { return planted, true }
	opts.WorkDir = f.TempDir()
	opts.Home = func() string { return opts.WorkDir }
	write(f, opts.WorkDir, "pull.json", planted)
	f.Fuzz(func(t *testing.T, text []byte) {
		in := opts
		in.Stdin = strings.NewReader(string(text))
		s, diags, files := Load([]string{"-"}, in)
		if (s == nil) != diags.HasErrors() {
			t.Errorf("spec %v, %v", s, said(diags))
		}
		if strings.Contains(string(text), "file(") || strings.Contains(string(text), planted) {
			return // the spec itself reads or holds it
		}
		if out := printed(t, diags, files, true); strings.Contains(out, planted) {
			t.Errorf("the secret is printed:\n%s", out)
		}
	})
}
