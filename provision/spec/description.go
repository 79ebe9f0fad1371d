package spec

// A Block describes a kind of block, for docs/spec.md and for the JSON Schema.
// A test holds the description to what is really read.
type Block struct {
	Name       string   // machines
	Type       string   // the first label, where it decides what the block has: proxmox
	Labels     []string // what the other labels are: NAME
	Many       bool     // there may be several with the same labels
	Free       bool     // attributes are the user's own: locals
	Attributes []Attribute
	Blocks     []Block
}

// An Attribute describes an attribute of a block.
type Attribute struct {
	Name    string
	Kind    Kind
	Default string   // "required", or what holds when it is left out
	Rule    string   // Markdown
	Words   []string // all values there are, where they are words
	Refused bool     // it is known, and refused with the reason
}

// Required is the default of an attribute that must be written.
const Required = "required"

// A Kind is a kind of value.
type Kind string

// The kinds, as docs/spec.md calls them.
const (
	String   Kind = "string"
	Number   Kind = "number"
	Bool     Kind = "bool"
	Secret   Kind = "secret"
	Strings  Kind = "string or list"
	MiB      Kind = "number of MiB, or string"
	GiB      Kind = "number of GiB, or string"
	Map      Kind = "map of strings"
	Each     Kind = "map or set"
	Object   Kind = "object"
	Any      Kind = "any"
	TypeExpr Kind = "type"
)

// Description describes all blocks that a spec may have.
func Description() []Block {
	return []Block{variableDescription, {Name: "locals", Many: true, Free: true}, secretDescription, proxmoxDescription, qemuDescription, networkDescription, clusterDescription}
}

var variableDescription = Block{Name: "variable", Labels: []string{"NAME"},
	Attributes: []Attribute{
		{Name: "type", Kind: TypeExpr, Default: "that of `default`, else `string`", Rule: "`string` `number` `bool` `any` `list(…)` `set(…)` `map(…)` `tuple([…])` `object({ name = string, size = optional(number, 8) })`"},
		{Name: "default", Kind: Any, Default: "none: a value must be given", Rule: "may refer to other variables and locals; of a sensitive variable another secret"},
		{Name: "description", Kind: String, Default: "none", Rule: "for people"},
		{Name: "env", Kind: Strings, Default: "none", Rule: "environment variables, of which the first that is set gives the value"},
		{Name: "sensitive", Kind: Bool, Default: "`false`", Rule: "its value is a secret: a string, read when it is needed, never printed"},
	},
	Blocks: []Block{{Name: "validation", Many: true, Attributes: []Attribute{
		{Name: "condition", Kind: Bool, Default: Required, Rule: "`true` for values that are right"},
		{Name: "error_message", Kind: String, Default: Required, Rule: "what is wrong, and what to write instead"},
	}}},
}

var secretDescription = Block{Name: "secret", Labels: []string{"NAME"}, Attributes: []Attribute{
	{Name: "env", Kind: Strings, Default: "none", Rule: "environment variables, of which the first that is set has the secret"},
	{Name: "file", Kind: String, Default: "none", Rule: "`~/` is the home directory; else relative to the file of the spec; at most 1 MiB"},
	{Name: "exec", Kind: Strings, Default: "none", Rule: "what the command prints, within 30 s, without a shell, in the directory of the file of the spec"},
}}

var qemuDescription = Block{Name: "provider", Type: "qemu", Labels: []string{"NAME"}, Attributes: []Attribute{
	{Name: "dir", Kind: String, Default: "`slipway/qemu` in the user's data directory", Rule: "of disks, images and sockets; relative to the file it is written in"},
	{Name: "firmware", Kind: String, Default: "`\"bios\"`", Rule: "`\"uefi\"` where one is installed", Words: []string{"bios", "uefi"}},
	{Name: "accel", Kind: String, Default: "`\"auto\"`", Rule: "`\"kvm\"`; `\"tcg\"`: anywhere, ten times slower; `\"auto\"`: KVM where a guest really runs under it", Words: []string{"auto", "kvm", "tcg"}},
	{Name: "network", Kind: String, Default: "`\"private\"`", Rule: "`\"private\"`: a network of the cluster's own, made without rights; `\"bridge\"`: the bridge of this host that the network block names", Words: []string{"private", "bridge"}},
	{Name: "max_cpus", Kind: Number, Default: "none", Rule: "vCPUs that a machine really gets at the most, whatever its `cpus`"},
	{Name: "max_memory", Kind: Number, Default: "none", Rule: "MiB that a machine really gets at the most, whatever its `memory`"},
}}

var proxmoxDescription = Block{Name: "provider", Type: "proxmox", Labels: []string{"NAME"}, Attributes: []Attribute{
	{Name: "endpoint", Kind: String, Default: Required, Rule: "`https://` and a name; port 8006 unless given; a trailing slash or `/api2/json` is dropped"},
	{Name: "token", Kind: Secret, Default: "`SLIPWAY_PROXMOX_TOKEN`", Rule: "`USER@REALM!NAME=UUID`; a literal is refused"},
	{Name: "fingerprint", Kind: String, Default: "none", Rule: "SHA-256 of the certificate, 32 hex bytes, either case, with or without colons"},
	{Name: "ca", Kind: String, Default: "none", Rule: "PEM file, relative to the file it is written in"},
	{Name: "storage", Kind: Object, Default: "`{ disk = \"local-lvm\", iso = \"local\" }`", Rule: "either key may be left out"},
	{Name: "nodes", Kind: Strings, Default: "all that are online", Rule: "a list: names as `pvecm nodes` lists them, each once"},
	{Name: "pool", Kind: String, Default: "none", Rule: "an existing pool; nested ones as `parent/child`"},
	{Name: "vmid_range", Kind: String, Default: "`\"20000-29999\"`", Rule: "first and last VMID, from 100"},
	{Name: "firmware", Kind: String, Default: "`\"bios\"`", Rule: "or `\"uefi\"`: OVMF without Secure Boot", Words: []string{"bios", "uefi"}},
	{Name: "tpm", Kind: Bool, Default: "`false`", Rule: "a TPM 2.0"},
	{Name: "cpu_type", Kind: String, Default: "`\"host\"`", Rule: "a model of QEMU from x86-64-v2 on"},
	{Name: "numa", Kind: Bool, Default: "`false`", Rule: "show the guest NUMA nodes"},
	{Name: "ha", Kind: Any, Default: "none", Rule: "refused, with the reason", Refused: true},
	{Name: "hugepages", Kind: Any, Default: "none", Rule: "refused, with the reason", Refused: true},
}}

var networkDescription = Block{Name: "network", Labels: []string{"NAME"}, Attributes: []Attribute{
	{Name: "cidr", Kind: String, Default: Required, Rule: "a network of /8 to /29, without host bits; not one that clusters have inside (`10.128.0.0/14`, `172.30.0.0/16`)"},
	{Name: "gateway", Kind: String, Default: "none", Rule: "an address of the network; required as soon as a node in it has a static address"},
	{Name: "bridge", Kind: String, Default: "`\"vmbr0\"`", Rule: "bridge of the hypervisor"},
	{Name: "vlan", Kind: Number, Default: "untagged", Rule: "1 to 4094"},
	{Name: "mtu", Kind: Number, Default: "the bridge's", Rule: "1280 to 65520"},
	{Name: "upstream", Kind: Strings, Default: "the gateway", Rule: "DNS servers that foreign names are forwarded to"},
}}

var clusterDescription = Block{Name: "cluster", Labels: []string{"NAME"},
	Attributes: []Attribute{
		{Name: "domain", Kind: String, Default: Required, Rule: "lower case (RFC 1123), no final dot; not `.local`, not an address"},
		{Name: "release", Kind: String, Default: Required, Rule: "`okd-X.Y` or `ocp-X.Y`; with `.Z` an exact one"},
		{Name: "pull_secret", Kind: Secret, Default: "none", Rule: "required for `ocp-…`; a literal is refused"},
		{Name: "provider", Kind: String, Default: "the only one", Rule: "name of a provider block"},
		{Name: "network", Kind: String, Default: "the only one", Rule: "name of a network block: of the services address, and of nodes that name no other"},
		{Name: "ttl", Kind: String, Default: "none: for good", Rule: "how long the cluster is meant to live, `\"8h\"`, `\"1d12h\"`; at most ten years"},
		{Name: "protect", Kind: Bool, Default: "`false`", Rule: "`true`: `slipway down` refuses"},
	},
	Blocks: []Block{assistedDescription, servicesDescription, machinesDescription, checkDescription, sshDescription},
}

var assistedDescription = Block{Name: "installer", Type: "assisted", Attributes: []Attribute{
	{Name: "endpoint", Kind: String, Default: Required, Rule: "`http://` or `https://` and a name; port 80 or 443 unless given; the path of the API is dropped"},
	{Name: "token", Kind: Secret, Default: "`SLIPWAY_ASSISTED_TOKEN`, else none", Rule: "bearer token; none is a service without authentication"},
	{Name: "fingerprint", Kind: String, Default: "none", Rule: "as a provider's; `https` only"},
	{Name: "ca", Kind: String, Default: "none", Rule: "as a provider's; `https` only, and not together with `fingerprint`"},
}}

var servicesDescription = Block{Name: "services",
	Attributes: []Attribute{
		{Name: "address", Kind: String, Default: Required, Rule: "an address of the host that they run on, with `vm` that of the machine; in the network, and not its gateway"},
		{Name: "mode", Kind: String, Default: "`\"local\"`", Rule: "`\"local\"`: on this host; `\"ssh\"`: on hosts with an `ssh` block; `\"vm\"`: on a machine that slipway makes; `\"external\"`: DNS and load balancer are yours", Words: servicesModes},
	},
	Blocks: []Block{{Name: "load_balancer", Attributes: []Attribute{
		{Name: "mode", Kind: String, Default: "`\"auto\"`", Rule: "`\"auto\"`: haproxy where it is found, else the embedded one; `\"haproxy\"`; `\"embedded\"`; `\"external\"`: yours", Words: balancerModes},
		{Name: "address", Kind: String, Default: "required with `external`", Rule: "of your load balancer: `api`, `api-int` and `*.apps` name it"},
	}}, {Name: "ssh", Many: true, Attributes: []Attribute{
		{Name: "host", Kind: String, Default: Required, Rule: "name or address of a host with systemd, of the Debian or Red Hat family"},
		{Name: "port", Kind: Number, Default: "`22`", Rule: "of its sshd"},
		{Name: "user", Kind: String, Default: "`\"root\"`", Rule: "another one must be let use sudo without a password"},
		{Name: "key", Kind: String, Default: "ssh-agent, then the usual files in `~/.ssh`", Rule: "path of a private key; relative to the file it is written in"},
		{Name: "host_key", Kind: String, Default: "what `~/.ssh/known_hosts` says", Rule: "a line of `/etc/ssh/ssh_host_*.pub` there"},
		{Name: "address", Kind: String, Default: "`address` of the services", Rule: "of the services on that host; with two hosts, names have both addresses"},
	}}, servicesVMDescription, {Name: "dns", Attributes: []Attribute{
		{Name: "mode", Kind: String, Default: "`\"embedded\"`", Rule: "`\"embedded\"`: slipway, at `address`; `\"external\"`: your server, which you fill; `\"rfc2136\"`: your server, which slipway updates", Words: dnsModes},
		{Name: "server", Kind: String, Default: "required unless embedded", Rule: "its address; nodes ask it at port 53, updates go there"},
		{Name: "key", Kind: String, Default: "required with `rfc2136`", Rule: "name of the TSIG key"},
		{Name: "algorithm", Kind: String, Default: "`\"hmac-sha256\"`", Rule: "or `hmac-sha1`, `-sha224`, `-sha384`, `-sha512`", Words: dnsAlgorithms},
		{Name: "secret", Kind: Secret, Default: "required with `rfc2136`", Rule: "of the key, in base64"},
	}}},
}

var servicesVMDescription = Block{Name: "vm", Attributes: []Attribute{
	{Name: "cpus", Kind: Number, Default: "2", Rule: "1 to 1024"},
	{Name: "memory", Kind: MiB, Default: "2 GiB", Rule: "`2048`, `\"2GiB\"`; 512 MiB or more"},
	{Name: "disk", Kind: GiB, Default: "20 GiB", Rule: "`20`, `\"20GiB\"`; 4 GiB or more, and no less than the image"},
}, Blocks: []Block{{Name: "image", Attributes: []Attribute{
	{Name: "url", Kind: String, Default: Required, Rule: "of a cloud image that ends in `.qcow2`, `.img` or `.raw`; without the block it is that of Debian 12 (`genericcloud`, amd64)"},
	{Name: "sha256", Kind: String, Default: "what `SHA512SUMS` beside the image says", Rule: "64 hex digits; required over `http`"},
}}}}

var machinesDescription = Block{Name: "machines", Labels: []string{"LABEL"}, Attributes: []Attribute{
	{Name: "count", Kind: Number, Default: "as many as `addresses` or `macs`", Rule: "0 to 10000; required where nothing else says how many"},
	{Name: "for_each", Kind: Each, Default: "none", Rule: "in the place of `count`: a node for each key, which is the end of its name"},
	{Name: "role", Kind: String, Default: "`control-plane` for the label `control`, else `worker`", Rule: "one of the two", Words: []string{string(ControlPlane), string(Worker)}},
	{Name: "cpus", Kind: Number, Default: "8", Rule: "1 to 1024"},
	{Name: "memory", Kind: MiB, Default: "16 GiB", Rule: "`16384`, `\"16GiB\"`"},
	{Name: "disk", Kind: GiB, Default: "250 GiB", Rule: "`250`, `\"250GiB\"`, `\"1TiB\"`"},
	{Name: "network", Kind: String, Default: "the cluster's", Rule: "name of a network block"},
	{Name: "addresses", Kind: Strings, Default: "allotted, see below", Rule: "`\"dhcp\"`; or one for each node: `\"192.0.2.201-203\"`, `\"192.0.2.201-192.0.2.203\"`, single ones, or a list of all these"},
	{Name: "macs", Kind: Strings, Default: "derived, see below", Rule: "unicast, one for each node"},
	{Name: "spread", Kind: String, Default: "`\"node\"`", Rule: "`\"node\"`: as evenly over hypervisor nodes as can be; `\"none\"`: wherever there is most room", Words: []string{SpreadNode, SpreadNone}},
	{Name: "labels", Kind: Map, Default: "none", Rule: "labels of the Kubernetes nodes; not those of `kubernetes.io` and `k8s.io`, except `topology.kubernetes.io/zone` and `/region`, and `node.kubernetes.io/…`"},
}}

var checkDescription = Block{Name: "check", Labels: []string{"LABEL"}, Attributes: []Attribute{
	{Name: "get", Kind: String, Default: Required, Rule: "`http` or `https` URL; `self.fqdn`, `self.name` and `self.domain` are the cluster's"},
	{Name: "status", Kind: Number, Default: "200", Rule: "of the answer"},
	{Name: "within", Kind: String, Default: "`\"10m\"`", Rule: "how long it may take"},
}}

var sshDescription = Block{Name: "ssh", Attributes: []Attribute{
	{Name: "authorized_keys", Kind: Strings, Default: "none", Rule: "lines of an authorized_keys file"},
	{Name: "user", Kind: String, Default: "`\"core\"`", Rule: "whom slipway logs in as"},
}}
