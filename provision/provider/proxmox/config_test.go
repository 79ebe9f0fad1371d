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
	local := Storage{Disk: "local-lvm", ISO: "local"}
	host := Hardware{CPUType: "host"}
	sum := strings.Repeat("AB:", 31) + "AB"
	for _, c := range []struct {
		name, body string
		want       Config
	}{
		{"an endpoint is enough", `endpoint = "https://pve.lan:8006"`,
			Config{Endpoint: pve, Storage: local, VMIDs: Range{20000, 29999}, Hardware: host}},
		{"port 8006 is implied", `endpoint = "https://pve.lan"`,
			Config{Endpoint: pve, Storage: local, VMIDs: Range{20000, 29999}, Hardware: host}},
		{"the path of the API may be given", `endpoint = "https://pve.lan:8006/api2/json/"`,
			Config{Endpoint: pve, Storage: local, VMIDs: Range{20000, 29999}, Hardware: host}},
		{"the address may be copied from a browser", `endpoint = "https://pve.lan:8006/#v1:0:18:4"`,
			Config{Endpoint: pve, Storage: local, VMIDs: Range{20000, 29999}, Hardware: host}},
		{"an IPv6 address keeps its brackets", `endpoint = "https://[2001:db8::9]"`,
			Config{Endpoint: &url.URL{Scheme: "https", Host: "[2001:db8::9]:8006"}, Storage: local, VMIDs: Range{20000, 29999}, Hardware: host}},
		{"everything may be given", `
			endpoint    = "https://pve.lan:443"
			token       = secret.pve
			fingerprint = "` + strings.ToLower(strings.ReplaceAll(sum, ":", "")) + `"
			ca          = "pve-root-ca.pem"
			storage     = { iso = "nfs", format = "qcow2" }
			nodes       = ["pve2", "pve1"]
			pool        = "lab/slipway"
			vmid_range  = "500-599"
			firmware    = "uefi"
			tpm         = true
			numa        = true
			cpu_type    = "x86-64-v3"`,
			Config{Endpoint: &url.URL{Scheme: "https", Host: "pve.lan:443"}, Fingerprint: sum, CA: "dir/pve-root-ca.pem",
				Storage: Storage{"local-lvm", "nfs", "qcow2"}, Nodes: []string{"pve2", "pve1"}, Pool: "lab/slipway", VMIDs: Range{500, 599},
				Hardware: Hardware{UEFI: true, TPM: true, NUMA: true, CPUType: "x86-64-v3"}}},
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
			`2,11-29: Invalid storage; There is no "isos" in storage. It has disk, for disks, format, of those, and iso, for boot images.`},
		{"a storage with a slash", good + `storage = { iso = "a/b" }`,
			"2,11-26: Invalid storage; iso is not the name of a storage. Write one as `pvesm status` lists it, such as local-lvm."},
		{"a disk format that cannot discard", good + `storage = { format = "vmdk" }`,
			`2,11-30: Invalid storage; format "vmdk" is neither raw nor qcow2. Leave it out for the storage's own.`},
		{"another firmware", good + `firmware = "efi"`, `2,12-17: Invalid firmware; "efi" is neither bios nor uefi.`},
		{"PVE's old default CPU", good + `cpu_type = "kvm64"`,
			`2,12-19: Invalid CPU type; "kvm64" has not the instructions of x86-64-v2 that RHEL CoreOS needs. Write host, or x86-64-v2-AES, x86-64-v3 where machines move between unlike nodes.`},
		{"a CPU with flags", good + `cpu_type = "host,flags=+aes"`,
			`2,12-29: Invalid CPU type; "host,flags=+aes" is not the name of a CPU type. Write one as the web interface lists it, such as x86-64-v3.`},
		{"HA", good + `ha = true`,
			"2,1-10: HA is not offered; Making a resource of HA needs Sys.Console on /, which lets a token into every node, and a node of a cluster that HA restarts elsewhere comes back while its cluster has already replaced it. Add machines by hand when they are Ready: ha-manager add vm:VMID. slipway follows machines that HA moves, and `down` takes them out of HA."},
		{"huge pages", good + `hugepages = 2`,
			"2,1-14: Huge pages are not offered; Proxmox VE lets only root@pam itself set hugepages, no token. Set them on the node when the machine is off: qm set VMID --hugepages 1024 --numa 1."},
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
