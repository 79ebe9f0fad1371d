package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
)

// providerBody is what a provider decodes for itself.
type providerBody struct {
	Endpoint string            `hcl:"endpoint"`
	Token    string            `hcl:"token,optional"`
	Storage  map[string]string `hcl:"storage,optional"`
}

// override loads the valid spec with text as override file.
func override(t *testing.T, text string) (*Spec, hcl.Diagnostics) {
	t.Helper()
	opts := known
	opts.WorkDir = t.TempDir()
	opts.LookupEnv = func(name string) (string, bool) { return "value of " + name, true }
	write(t, opts.WorkDir, "cluster.hcl", valid)
	write(t, opts.WorkDir, "o.hcl", text)
	opts.Override = "o.hcl"
	s, diags, _ := Load([]string{"cluster.hcl"}, opts)
	return s, diags
}

func TestOverride(t *testing.T) {
	s, diags := override(t, `
provider "proxmox" "home" {
  endpoint = "https://192.0.2.8:8006"
  token    = "t"
}
network "lan" { bridge = "vmbr7" }
secret "pull" { env = "PULL" }
secret "added" { env = "ADDED" }
cluster "mycluster" {
  release = "okd-4.21"
  installer "assisted" { endpoint = "http://192.0.2.7:8090" }
  services { address = "192.0.2.220" }
  machines "worker" { count = 1 }
}`)
	if diags.HasErrors() {
		t.Fatal(said(diags))
	}
	c := s.Clusters[0]
	pull, err := c.PullSecret.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	var p, i providerBody
	diags = gohcl.DecodeBody(c.Provider.Body, c.Provider.Context, &p)
	diags = append(diags, gohcl.DecodeBody(c.Installer.Body, c.Installer.Context, &i)...)
	if diags.HasErrors() {
		t.Fatal(said(diags))
	}
	got := []string{p.Endpoint, p.Token, i.Endpoint, c.Network.Bridge, c.Network.CIDR.String(), c.Release, c.Domain, pull, c.Services.Address.String(), c.Nodes[3].Name}
	want := []string{"https://192.0.2.8:8006", "t", "http://192.0.2.7:8090", "vmbr7", "192.0.2.0/24", "okd-4.21", "lab.test", "value of PULL", "192.0.2.220", "worker-0"}
	if diff := cmp.Diff(want, got); diff != "" || len(c.Nodes) != 4 {
		t.Errorf("%d nodes, (-want +got):\n%s", len(c.Nodes), diff)
	}
}

// Services hosts that an override leaves unused for once are no mistake; those
// that the spec itself does are.
func TestOverrideOfTheServicesMode(t *testing.T) {
	hosts := strings.Replace(valid, `services { address = "192.0.2.210" }`, "services {\n  address = \"192.0.2.210\"\n  mode = \"ssh\"\n  ssh { host = \"a\" }\n}", 1)
	machine := strings.NewReplacer(`"ssh"`, `"vm"`, `ssh { host = "a" }`, "vm { cpus = 4 }").Replace(hosts)
	for _, tt := range []struct {
		name, spec, override string
		warned               bool
	}{
		{"of a machine, by the override", machine, "cluster \"mycluster\" {\n  services {\n    mode = \"local\"\n  }\n}", false},
		{"of a machine, by the spec", strings.Replace(machine, `"vm"`, `"local"`, 1), "", true},
		{"of a machine, by default", strings.Replace(machine, `mode = "vm"`, "", 1), "", true},
		{"by the override", hosts, "cluster \"mycluster\" {\n  services {\n    mode = \"local\"\n  }\n}", false},
		{"by the spec", strings.Replace(hosts, `"ssh"`, `"local"`, 1), "", true},
		{"by default", strings.Replace(hosts, `mode = "ssh"`, "", 1), "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := known
			opts.WorkDir = t.TempDir()
			write(t, opts.WorkDir, "cluster.hcl", tt.spec)
			write(t, opts.WorkDir, "o.hcl", tt.override)
			opts.Override = "o.hcl"
			s, diags, _ := Load([]string{"cluster.hcl"}, opts)
			if s == nil || strings.Contains(told(diags), "Unused block") != tt.warned {
				t.Errorf("diagnostics %q, warned: %v", told(diags), tt.warned)
			}
			if s != nil && s.Clusters[0].Services.Mode != ServicesLocal {
				t.Errorf("mode %q", s.Clusters[0].Services.Mode)
			}
		})
	}
}

func TestOverrideOfWhatIsNotThere(t *testing.T) {
	_, diags := override(t, "provider \"proxmox\" \"hom\" {}\ncluster \"mycluster\" { relase = \"okd-4.21\" }\nlocals { x = locl.y }")
	want := []string{
		`o.hcl:1,1-25: Nothing to override: The spec has no provider "proxmox" "hom". Write the labels of one of its blocks.`,
		`o.hcl:2,23-29: Unsupported argument: An argument named "relase" is not expected here. Did you mean "release"?`,
		`o.hcl:3,1-7: Locals in an override: An override has no locals of its own. Write the values where they are used.`,
		`o.hcl:3,14-20: Unknown reference: There is no "locl". Expressions refer to var.NAME, local.NAME and secret.NAME.`,
	}
	if diff := cmp.Diff(want, said(diags)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOverriddenBodyIsOneBody(t *testing.T) {
	base := body(t, "endpoint = \"a\"\nstorage = { iso = \"local\" }\nnonsense = 1\n")
	over := body(t, "token = \"t\"\n")
	var p providerBody
	diags := gohcl.DecodeBody(overridden{base, over}, nil, &p)
	if len(diags) != 1 || diags[0].Summary != "Unsupported argument" || p.Endpoint != "a" || p.Token != "t" {
		t.Errorf("%+v, %v", p, said(diags))
	}
	diags = gohcl.DecodeBody(overridden{over, over}, nil, &p)
	if len(diags) != 1 || diags[0].Summary != "Missing required argument" || !strings.Contains(diags[0].Detail, `"endpoint"`) {
		t.Errorf("%v", said(diags))
	}
	attributes, diags := overridden{base, over}.JustAttributes()
	if len(attributes) != 4 || diags.HasErrors() {
		t.Errorf("%v, %v", attributes, said(diags))
	}
}

func body(t *testing.T, text string) hcl.Body {
	t.Helper()
	file, diags := parseText("x.hcl", []byte(text))
	if diags.HasErrors() {
		t.Fatal(said(diags))
	}
	return file.Body
}
