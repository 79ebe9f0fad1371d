package all

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/slipway-project/slipway/provision/provider"
)

func body(t *testing.T, text string) hcl.Body {
	t.Helper()
	file, diags := hclsyntax.ParseConfig([]byte(text), "lab.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return file.Body
}

func nothing(string) (string, bool) { return "", false }

func TestEachTypeOpens(t *testing.T) {
	minimal := map[string]string{"proxmox": `endpoint = "https://pve.lan"`, "qemu": `dir = "machines"`}
	for _, name := range Types() {
		b := body(t, minimal[name])
		if diags := Validate(name, b, nil); diags.HasErrors() {
			t.Error(diags)
		}
		p, diags := Open(name, b, nil, nothing, 1)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if diff := cmp.Diff(provider.Caps{Creates: true, Media: true}, p.Caps()); diff != "" {
			t.Errorf("capabilities (-want +got):\n%s", diff)
		}
	}
}

func TestDiagnostics(t *testing.T) {
	badPin := func(name string) (string, bool) { return "AA:BB", strings.HasSuffix(name, "_FINGERPRINT") }
	for _, c := range []struct {
		name, provider, body string
		lookup               Lookup
		want                 string
	}{
		{"an unknown type", "vsphere", "", nothing,
			`lab.hcl:1,1-1: Unknown provider; There is no provider "vsphere". Write one of: proxmox, qemu.`},
		{"what the provider finds", "proxmox", `endpoint = "pve"`, nothing,
			`lab.hcl:1,12-17: Invalid endpoint; "pve" is not the URL of a Proxmox VE node. Write https:// and its name, such as https://pve.lan:8006.`},
		{"a variable that is wrong", "proxmox", `endpoint = "https://pve.lan"`, badPin,
			`lab.hcl:1,1-1: Provider cannot be used; Provider proxmox: environment variable SLIPWAY_PROXMOX_FINGERPRINT: "AA:BB" is not a SHA-256 fingerprint of 32 hex bytes.`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, diags := Open(c.provider, body(t, c.body), nil, c.lookup, 1)
			if p != nil || len(diags) != 1 || diags[0].Error() != c.want {
				t.Errorf("got %v\nwant %s", diags, c.want)
			}
		})
	}
}
