package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
)

// Every verb has a page, which groff reads without a complaint.
func TestManualPages(t *testing.T) {
	dir := t.TempDir()
	root := newRoot(&app{})
	if err := (&app{}).man(root, dir); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) != len(documented(root)) || len(pages) < 20 {
		t.Fatalf("%d pages of %d verbs, %v", len(pages), len(documented(root)), err)
	}
	for _, name := range []string{"slipway.1", "slipway-up.1", "slipway-dns-export.1"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	cmd := exec.Command(testbed.Program(t, "groff"), append([]string{"-man", "-ww", "-Tascii", "-z"}, pages...)...)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%s", err, out)
	}
}

func TestManualPageKeepsTextThatRoffWouldTake(t *testing.T) {
	got := roff("it's --yes\n.TH\n'so\na\\b `c`")
	want := `it\(aqs \-\-yes` + "\n" + `\&.TH` + "\n" + `\(aqso` + "\n" + `a\eb \(gac\(ga`
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if bytes.Contains([]byte(manPage(newRoot(&app{}))), []byte("--home")) {
		t.Error("a hyphen is not escaped")
	}
}
