package proxmox

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/slipway-project/slipway/internal/secret"
)

func decodeText(t *testing.T, body string) (Config, hcl.Diagnostics) {
	t.Helper()
	file, diags := hclsyntax.ParseConfig([]byte(body), "dir/lab.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	unreadable := secret.New("a test", func() (string, error) {
		t.Error("Decode read the secret")
		return "", nil
	})
	return Decode(file.Body, &hcl.EvalContext{Variables: map[string]cty.Value{
		"secret": cty.ObjectVal(map[string]cty.Value{"pve": secret.ToCty(unreadable)}),
	}})
}

func TestDecode(t *testing.T) {
	pve := &url.URL{Scheme: "https", Host: "pve.lan:8006"}
	local := Storage{"local-lvm", "local"}
	sum := strings.Repeat("AB:", 31) + "AB"
	for _, c := range []struct {
		name, body string
		want       Config
	}{
		{"an endpoint is enough", `endpoint = "https://pve.lan:8006"`,
			Config{Endpoint: pve, Storage: local, VMIDs: Range{20000, 29999}}},
		{"port 8006 is implied", `endpoint = "https://pve.lan"`,
			Config{Endpoint: pve, Storage: local, VMIDs: Range{20000, 29999}}},
		{"the path of the API may be given", `endpoint = "https://pve.lan:8006/api2/json/"`,
			Config{Endpoint: pve, Storage: local, VMIDs: Range{20000, 29999}}},
		{"the address may be copied from a browser", `endpoint = "https://pve.lan:8006/#v1:0:18:4"`,
			Config{Endpoint: pve, Storage: local, VMIDs: Range{20000, 29999}}},
		{"an IPv6 address keeps its brackets", `endpoint = "https://[2001:db8::9]"`,
			Config{Endpoint: &url.URL{Scheme: "https", Host: "[2001:db8::9]:8006"}, Storage: local, VMIDs: Range{20000, 29999}}},
		{"everything may be given", `
			endpoint    = "https://pve.lan:443"
			token       = secret.pve
			fingerprint = "` + strings.ToLower(strings.ReplaceAll(sum, ":", "")) + `"
			ca          = "pve-root-ca.pem"
			storage     = { iso = "nfs" }
			nodes       = ["pve2", "pve1"]
			pool        = "lab/slipway"
			vmid_range  = "500-599"`,
			Config{Endpoint: &url.URL{Scheme: "https", Host: "pve.lan:443"}, Fingerprint: sum, CA: "dir/pve-root-ca.pem",
				Storage: Storage{"local-lvm", "nfs"}, Nodes: []string{"pve2", "pve1"}, Pool: "lab/slipway", VMIDs: Range{500, 599}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, diags := decodeText(t, c.body)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			if want := strings.Contains(c.body, "token"); got.Token.Set() != want {
				t.Errorf("token set is %v, want %v", got.Token.Set(), want)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Config{}, "Token")); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	const good = "endpoint = \"https://pve.lan\"\n"
	for _, c := range []struct{ name, body, want string }{
		{"no endpoint", `pool = "x"`,
			`1,1-1: Missing required argument; The argument "endpoint" is required, but no definition was found.`},
		{"no scheme", `endpoint = "pve.lan"`,
			`1,12-21: Invalid endpoint; "pve.lan" is not the URL of a Proxmox VE node. Write https:// and its name, such as https://pve.lan:8006.`},
		{"plain HTTP", `endpoint = "http://pve.lan:8006"`,
			`1,12-33: Invalid endpoint; "http://pve.lan:8006" is not the URL of a Proxmox VE node. Write https:// and its name, such as https://pve.lan:8006.`},
		{"a password in the endpoint", `endpoint = "https://root:pw@pve.lan"`,
			`1,12-37: Invalid endpoint; The endpoint must not carry a user or password. Use an API token: token, or the environment variable SLIPWAY_PROXMOX_TOKEN.`},
		{"another path", `endpoint = "https://pve.lan/nodes"`,
			`1,12-35: Invalid endpoint; The path "/nodes" is not part of the Proxmox VE API. Write https://pve.lan.`},
		{"a token in the file", good + `token = "root@pam!x=1"`,
			`2,9-23: Literal secret; A token must not stand in the file. Declare secret "proxmox" { env = "SLIPWAY_PROXMOX_TOKEN" } and write token = secret.proxmox, or leave token out: SLIPWAY_PROXMOX_TOKEN is its default.`},
		{"a SHA-1 fingerprint", good + `fingerprint = "AA:BB"`,
			`2,15-22: Invalid fingerprint; "AA:BB" is not a SHA-256 fingerprint. Copy it from the node's Certificates in the web interface: 32 hex bytes, such as AA:BB:….`},
		{"storage as a string", good + `storage = "local"`,
			`2,11-18: Invalid storage; Write an object, such as storage = { disk = "local-lvm", iso = "local" }.`},
		{"an unknown storage", good + `storage = { isos = "local" }`,
			`2,11-29: Invalid storage; There is no "isos" in storage. It has disk, for disks, and iso, for boot images.`},
		{"a storage with a slash", good + `storage = { iso = "a/b" }`,
			"2,11-26: Invalid storage; iso is not the name of a storage. Write one as `pvesm status` lists it, such as local-lvm."},
		{"a node name with a dot", good + `nodes = ["pve.lan"]`,
			"2,9-20: Invalid node name; \"pve.lan\" is not the name of a Proxmox VE node. Write names as `pvecm nodes` lists them, such as pve1."},
		{"a node twice", good + `nodes = ["pve", "pve"]`,
			`2,9-23: Duplicate node; Node "pve" stands twice in the list. Write each node once.`},
		{"a pool with a space", good + `pool = "my pool"`,
			`2,8-17: Invalid pool; "my pool" is not the name of a pool. Use letters, digits, dots, dashes and underscores, and a slash before a nested pool.`},
		{"one VMID", good + `vmid_range = "20000"`,
			`2,14-21: Invalid VMID range; "20000" is not a range. Write first and last VMID, such as "20000-29999".`},
		{"VMIDs the wrong way round", good + `vmid_range = "300-200"`,
			`2,14-23: Invalid VMID range; "300-200" holds no VMID. Proxmox VE begins at 100, and the first must not be above the last: "20000-29999".`},
		{"VMIDs below 100", good + `vmid_range = "1-200"`,
			`2,14-21: Invalid VMID range; "1-200" holds no VMID. Proxmox VE begins at 100, and the first must not be above the last: "20000-29999".`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, diags := decodeText(t, c.body)
			if diff := cmp.Diff(c.want, told(diags)); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeGathersEverything(t *testing.T) {
	_, diags := decodeText(t, `
		endpoint = "pve"
		token = "x"
		pool = " "
		vmid_range = "x"`)
	if len(diags) != 4 {
		t.Errorf("there are %d diagnostics, want 4: %v", len(diags), diags)
	}
}

func told(diags hcl.Diagnostics) string {
	var lines []string
	for _, d := range diags {
		r := d.Subject
		lines = append(lines, fmt.Sprintf("%d,%d-%d: %s; %s", r.Start.Line, r.Start.Column, r.End.Column, d.Summary, d.Detail))
	}
	return strings.Join(lines, "\n")
}
