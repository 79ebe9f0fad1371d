package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// valid is a spec without a problem; the cases below break it in one place.
const valid = `provider "proxmox" "home" { endpoint = "https://pve.lan:8006" }
network "lan" {
  cidr    = "192.0.2.0/24"
  gateway = "192.0.2.1"
}
secret "pull" { file = "pull.json" }
cluster "mycluster" {
  domain      = "lab.test"
  release     = "okd-4.20"
  pull_secret = secret.pull
  installer "assisted" { endpoint = "http://192.0.2.9:8090" }
  services { address = "192.0.2.210" }
  machines "control" { count = 3 }
  machines "worker" { count = 2 }
}
`

var known = Options{ProviderTypes: []string{"proxmox"}, InstallerTypes: []string{"assisted"}}

// load reads text as cluster.hcl in a directory of its own.
func load(t testing.TB, text string) (*Spec, hcl.Diagnostics, map[string]*hcl.File) {
	t.Helper()
	opts := known
	opts.WorkDir = t.TempDir()
	write(t, opts.WorkDir, "cluster.hcl", text)
	return Load([]string{"cluster.hcl"}, opts)
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// said is what the diagnostics say: place, summary and detail.
func said(diags hcl.Diagnostics) []string {
	var lines []string
	for _, d := range diags {
		place := ""
		if d.Subject != nil {
			place = strings.TrimPrefix(d.Subject.String(), "cluster.hcl:") + ": "
		}
		if d.Severity == hcl.DiagWarning {
			place = "warning: " + place
		}
		lines = append(lines, fmt.Sprintf("%s%s: %s", place, d.Summary, d.Detail))
	}
	return lines
}

func TestValidSpecHasNothingSaid(t *testing.T) {
	if s, diags, _ := load(t, valid); s == nil || len(diags) > 0 {
		t.Errorf("spec %v, diagnostics %v", s, said(diags))
	}
}

func TestProblemsAreReportedWhereTheyStand(t *testing.T) {
	for _, tt := range problems {
		t.Run(tt.name, func(t *testing.T) {
			_, diags, _ := load(t, edited(t, tt.edits))
			if diff := cmp.Diff(tt.want, said(diags)); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExamplesAreValidAndFormatted(t *testing.T) {
	examples, err := filepath.Glob("../../examples/*/*.hcl")
	if err != nil || len(examples) == 0 {
		t.Fatal("no examples: ", err)
	}
	every := Options{ProviderTypes: []string{"proxmox", "qemu"}, InstallerTypes: known.InstallerTypes}
	for _, path := range examples {
		if _, diags, _ := Load([]string{path}, every); len(diags) > 0 {
			t.Errorf("%s: %v", path, said(diags))
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(hclwrite.Format(text)), string(text)); diff != "" {
			t.Errorf("%s is not formatted (-want +got):\n%s", path, diff)
		}
	}
}

// edited is the valid spec with the edits made.
func edited(t *testing.T, edits []edit) string {
	t.Helper()
	text := valid
	for _, e := range edits {
		if !strings.Contains(text, e.old) {
			t.Fatalf("the spec has no %q", e.old)
		}
		text = strings.Replace(text, e.old, e.new, 1)
	}
	return text
}
