package spec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/internal/hint"
)

func TestFiles(t *testing.T) {
	for _, tt := range []struct {
		name      string
		there     string
		args      string
		want      string
		err, help string
	}{
		{"cluster.hcl is the default", "cluster.hcl a.slipway.hcl", "", "cluster.hcl", "", ""},
		{"else the single *.slipway.hcl", "a.slipway.hcl b.hcl", "", "a.slipway.hcl", "", ""},
		{"several are ambiguous", "a.slipway.hcl b.slipway.hcl", "", "", "several specs here: a.slipway.hcl, b.slipway.hcl", "choose one with -f FILE"},
		{"none", "x.txt", "", "", "no cluster.hcl and no *.slipway.hcl here", startHint},
		{"files in the order given, and standard input", "b.hcl a.hcl", "b.hcl - a.hcl", "b.hcl - a.hcl", "", ""},
		{"a directory, without overrides", "d/b.hcl d/a.hcl d/c.hcl.json d/x.override.hcl d/x.txt", "d", "d/a.hcl d/b.hcl d/c.hcl.json", "", ""},
		{"a directory without specs", "d/x.txt", "d", "", "find cluster spec: no *.hcl in d", startHint},
		{"no such file", "", "lab.hcl", "", "find cluster spec: stat DIR/lab.hcl: no such file or directory", startHint},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range strings.Fields(tt.there) {
				if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, dir, name, "")
			}
			files, err := Files(strings.Fields(tt.args), dir)
			said := ""
			if err != nil {
				said = strings.ReplaceAll(err.Error(), dir, "DIR")
			}
			if diff := cmp.Diff([]string{tt.want, tt.err, tt.help}, []string{strings.Join(files, " "), said, hint.Of(err)}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSpecInSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	head, tail, _ := strings.Cut(valid, "cluster ")
	write(t, dir, "a.hcl", head)
	s, diags, _ := Load([]string{"a.hcl", "-"}, Options{WorkDir: dir, Stdin: strings.NewReader("cluster " + tail + "nonsense {}")})
	if s != nil || len(diags) != 1 || diags[0].Subject.String() != "<stdin>:10,1-9" {
		t.Errorf("spec %v, %v", s, said(diags))
	}
	s, diags, _ = Load([]string{"a.hcl", "-"}, Options{WorkDir: dir, Stdin: strings.NewReader("cluster " + tail)})
	if diags.HasErrors() || len(s.Clusters) != 1 {
		t.Errorf("spec %v, %v", s, said(diags))
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "big.hcl", strings.Repeat("#", maxSpec+1))
	_, diags, _ := Load([]string{"none.hcl", "big.hcl"}, Options{WorkDir: dir})
	want := []string{
		"Cannot read the spec: The file big.hcl has more than 256 KiB.",
		"Cannot read the spec: There is no file " + dir + "/none.hcl. Write one, or name another with -f FILE.",
	}
	if diff := cmp.Diff(want, said(diags)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSpecInJSON(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "cluster.hcl.json", `{
  "provider": {"proxmox": {"home": {"endpoint": "https://pve.lan:8006"}}},
  "network": {"lan": {"cidr": "192.0.2.0/24", "gateway": "${cidrhost(\"192.0.2.0/24\", 1)}"}},
  "secret": {"pull": {"file": "pull.json"}},
  "cluster": {"mycluster": {
    "domain": "lab.test", "release": "okd-4.20", "pull_secret": "${secret.pull}",
    "installer": {"assisted": {"endpoint": "http://192.0.2.9:8090"}},
    "services": {"address": "192.0.2.210"},
    "machines": {"control": {"count": 3, "memory": "twelve"}}
  }}
}`)
	_, diags, _ := Load([]string{"cluster.hcl.json"}, Options{WorkDir: dir})
	want := []string{`cluster.hcl.json:9,52-60: Invalid size: "twelve" is not a size in whole MiB. Write a number of MiB, or MiB, GiB or TiB behind it, such as memory = "16GiB".`}
	if diff := cmp.Diff(want, said(diags)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
