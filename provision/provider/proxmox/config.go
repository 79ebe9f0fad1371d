package proxmox

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/zclconf/go-cty/cty"

	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/internal/tlspin"
)

// The environment variables that stand in for attributes nobody wants in a
// file that is shared.
const (
	TokenVariable       = "SLIPWAY_PROXMOX_TOKEN"       // the default of token
	FingerprintVariable = "SLIPWAY_PROXMOX_FINGERPRINT" // one more fingerprint to trust
)

// A Config is a provider block of type proxmox, checked.
type Config struct {
	Endpoint    *url.URL     // https://pve.lan:8006, without a path
	Token       secret.Value // absent: TokenVariable
	Fingerprint string       // AA:BB:..., "" when none is given
	CA          string       // PEM file, "" when none is given
	Storage     Storage
	Nodes       []string // empty: all that are online
	Pool        string   // "" for none
	VMIDs       Range
	Hardware    Hardware
}

// Storage names the storages to use.
type Storage struct {
	Disk   string // of disks
	ISO    string // of boot images
	Format string // of disks: raw or qcow2, "" for the storage's own choice
}

// A Range is a range of VMIDs, both ends included.
type Range struct{ First, Last int }

// String writes the range as it is written in a spec.
func (r Range) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

func (r Range) holds(vmid int) bool { return r.First <= vmid && vmid <= r.Last }

var defaultVMIDs = Range{20000, 29999}

type rawConfig struct {
	Endpoint         string    `hcl:"endpoint"`
	EndpointRange    hcl.Range `hcl:"endpoint,attr_value_range"`
	Token            cty.Value `hcl:"token,optional"`
	TokenRange       hcl.Range `hcl:"token,attr_value_range"`
	Fingerprint      string    `hcl:"fingerprint,optional"`
	FingerprintRange hcl.Range `hcl:"fingerprint,attr_value_range"`
	CA               string    `hcl:"ca,optional"`
	CARange          hcl.Range `hcl:"ca,attr_value_range"`
	Storage          cty.Value `hcl:"storage,optional"`
	StorageRange     hcl.Range `hcl:"storage,attr_value_range"`
	Nodes            []string  `hcl:"nodes,optional"`
	NodesRange       hcl.Range `hcl:"nodes,attr_value_range"`
	Pool             string    `hcl:"pool,optional"`
	PoolRange        hcl.Range `hcl:"pool,attr_value_range"`
	VMIDs            string    `hcl:"vmid_range,optional"`
	VMIDsRange       hcl.Range `hcl:"vmid_range,attr_value_range"`
	Firmware         string    `hcl:"firmware,optional"`
	FirmwareRange    hcl.Range `hcl:"firmware,attr_value_range"`
	TPM              bool      `hcl:"tpm,optional"`
	CPUType          string    `hcl:"cpu_type,optional"`
	CPUTypeRange     hcl.Range `hcl:"cpu_type,attr_value_range"`
	NUMA             bool      `hcl:"numa,optional"`
	HA               cty.Value `hcl:"ha,optional"`
	HARange          hcl.Range `hcl:"ha,attr_range"`
	HugePages        cty.Value `hcl:"hugepages,optional"`
	HugePagesRange   hcl.Range `hcl:"hugepages,attr_range"`
}

// Decode reads the body of a provider block. It contacts nobody, reads no
// secret and no file, and gathers every problem with its place.
func Decode(body hcl.Body, ctx *hcl.EvalContext) (Config, hcl.Diagnostics) {
	var raw rawConfig
	diags := gohcl.DecodeBody(body, ctx, &raw)
	cfg := Config{CA: raw.ca(), Nodes: raw.Nodes, Pool: raw.Pool}
	for _, check := range []func(*Config) *hcl.Diagnostic{
		raw.endpoint, raw.token, raw.fingerprint, raw.storage, raw.nodes, raw.pool, raw.vmids,
		raw.firmware, raw.cpuType, raw.ha, raw.hugePages,
	} {
		if d := check(&cfg); d != nil {
			diags = append(diags, d)
		}
	}
	return cfg, diags
}

func wrong(subject hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: &subject,
	}
}

// endpoint takes the URL as people copy it: with or without port, slash, the
// path of the API, or the fragment of the web interface.
func (r rawConfig) endpoint(cfg *Config) *hcl.Diagnostic {
	const summary = "Invalid endpoint"
	if r.EndpointRange.Filename == "" { // missing, which gohcl has said
		return nil
	}
	u, err := url.Parse(strings.TrimSpace(r.Endpoint))
	if err != nil || u.Hostname() == "" || u.Scheme != "https" {
		return wrong(r.EndpointRange, summary, "%q is not the URL of a Proxmox VE node. Write https:// and its name, such as https://pve.lan:8006.", r.Endpoint)
	}
	if u.User != nil {
		return wrong(r.EndpointRange, summary, "The endpoint must not carry a user or password. Use an API token: token, or the environment variable %s.", TokenVariable)
	}
	if path := strings.TrimRight(u.Path, "/"); path != "" && path != apiPath {
		return wrong(r.EndpointRange, summary, "The path %q is not part of the Proxmox VE API. Write https://%s.", u.Path, u.Host)
	}
	port := u.Port()
	if port == "" {
		port = "8006"
	}
	cfg.Endpoint = &url.URL{Scheme: "https", Host: hostPort(u.Hostname(), port)}
	return nil
}

func hostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

func (r rawConfig) token(cfg *Config) *hcl.Diagnostic {
	value, ok := secret.FromCty(r.Token)
	if !ok {
		return wrong(r.TokenRange, "Literal secret",
			"A token must not stand in the file. Declare secret \"proxmox\" { env = %q } and write token = secret.proxmox, or leave token out: %s is its default.",
			TokenVariable, TokenVariable)
	}
	cfg.Token = value
	return nil
}

func (r rawConfig) fingerprint(cfg *Config) *hcl.Diagnostic {
	if r.Fingerprint == "" {
		return nil
	}
	pin, err := tlspin.Parse(r.Fingerprint)
	if err != nil {
		return wrong(r.FingerprintRange, "Invalid fingerprint",
			"%q is not a SHA-256 fingerprint. Copy it from the node's Certificates in the web interface: 32 hex bytes, such as AA:BB:….", r.Fingerprint)
	}
	cfg.Fingerprint = pin
	return nil
}

// ca is relative to the file it is written in.
func (r rawConfig) ca() string {
	if r.CA == "" || filepath.IsAbs(r.CA) {
		return r.CA
	}
	return filepath.Join(filepath.Dir(r.CARange.Filename), r.CA)
}

var nodeName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$`)

func (r rawConfig) nodes(*Config) *hcl.Diagnostic {
	seen := make(map[string]bool)
	for _, node := range r.Nodes {
		if !nodeName.MatchString(node) {
			return wrong(r.NodesRange, "Invalid node name", "%q is not the name of a Proxmox VE node. Write names as `pvecm nodes` lists them, such as pve1.", node)
		}
		if seen[node] {
			return wrong(r.NodesRange, "Duplicate node", "Node %q stands twice in the list. Write each node once.", node)
		}
		seen[node] = true
	}
	return nil
}

var poolName = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,2}$`)

func (r rawConfig) pool(*Config) *hcl.Diagnostic {
	if r.Pool == "" || poolName.MatchString(r.Pool) {
		return nil
	}
	return wrong(r.PoolRange, "Invalid pool", "%q is not the name of a pool. Use letters, digits, dots, dashes and underscores, and a slash before a nested pool.", r.Pool)
}

var rangeShape = regexp.MustCompile(`^\s*(\d{1,9})\s*-\s*(\d{1,9})\s*$`)

func (r rawConfig) vmids(cfg *Config) *hcl.Diagnostic {
	cfg.VMIDs = defaultVMIDs
	if r.VMIDs == "" {
		return nil
	}
	m := rangeShape.FindStringSubmatch(r.VMIDs)
	if m == nil {
		return wrong(r.VMIDsRange, "Invalid VMID range", "%q is not a range. Write first and last VMID, such as %q.", r.VMIDs, defaultVMIDs)
	}
	cfg.VMIDs.First, _ = strconv.Atoi(m[1]) // nine digits fit
	cfg.VMIDs.Last, _ = strconv.Atoi(m[2])
	if cfg.VMIDs.First < 100 || cfg.VMIDs.Last < cfg.VMIDs.First {
		return wrong(r.VMIDsRange, "Invalid VMID range", "%q holds no VMID. Proxmox VE begins at 100, and the first must not be above the last: %q.", r.VMIDs, defaultVMIDs)
	}
	return nil
}
