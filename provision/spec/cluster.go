package spec

import (
	"net"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/hcl/v2"

	"github.com/slipway-project/slipway/internal/secret"
)

// A Spec is everything the given files say, checked. Each cluster carries
// what it refers to, resolved; secrets are not read.
type Spec struct {
	Files     []string
	Providers []Provider
	Networks  []Network
	Clusters  []Cluster
	Secrets   []string // names of the secret blocks
	Variables []Variable
}

// A Variable is a variable block, with the value that it was given from
// outside.
type Variable struct {
	Name      string
	Sensitive bool   // its value is a secret, and stands nowhere here
	Given     bool   // by an argument, a file or the environment
	Text      string // what gives the same value in the environment variable VariablePrefix + Name
}

// VariablePrefix and the name of a variable are the environment variable that
// gives its value.
const VariablePrefix = "SLIPWAY_VAR_"

// A Provider is a provider block. Its body is decoded by the provider itself,
// with Context, and every diagnostic points into the user's file.
type Provider struct {
	Type    string // proxmox
	Label   string // home
	Body    hcl.Body
	Context *hcl.EvalContext
	Range   hcl.Range
}

// A Network is a network block: where machines stand.
type Network struct {
	Label    string
	Bridge   string // vmbr0 when not given
	VLAN     int    // 0: untagged
	CIDR     netip.Prefix
	Gateway  netip.Addr   // zero: none given
	Upstream []netip.Addr // DNS servers for foreign names: the gateway when none are given
	MTU      int          // 0: the bridge's
	Range    hcl.Range
}

// Role is what a node does.
type Role string

// The roles.
const (
	ControlPlane Role = "control-plane"
	Worker       Role = "worker"

	ServicesRole Role = "services" // of the services machine, which is no node of the cluster
)

// A Cluster is a cluster block with all that it implies.
type Cluster struct {
	Name       string
	Domain     string
	Release    string // okd-4.20
	PullSecret secret.Value
	SSH        SSH
	Installer  Installer
	Services   Services
	Nodes      []Node // control plane first, then by machines block and index
	Provider   Provider
	Network    Network       // that of nodes whose block names none, and of the services address
	TTL        time.Duration // how long it is meant to live from its creation on; 0: for good
	Protect    bool          // down refuses
	Checks     []Check
	Defaults   []Default // what the spec did not say, in its order
	Range      hcl.Range
}

// A Default is a value that the spec left out.
type Default struct {
	Of    string    // whose: machines "control": cpus
	Value string    // as it would be written: 8
	Why   string    // a clause: what OpenShift asks of a control plane node is 4
	At    hcl.Range // the block that it could be written in
}

// A Check is a check block: what else must hold before `up` says that the
// cluster is done.
type Check struct {
	Label  string
	Get    string        // URL, http or https; names are looked up at the services address
	Status int           // of the answer; 200 when not given
	Within time.Duration // 10 minutes when not given
	Range  hcl.Range
}

// FullName is <name>.<domain>: the name everything is found by.
func (c Cluster) FullName() string { return c.Name + "." + c.Domain }

// SSH says who may log in to the nodes, besides slipway itself.
type SSH struct {
	AuthorizedKeys []string
	User           string // core
}

// An Installer is an installer block; like a provider's, its body is decoded
// by the engine itself.
type Installer struct {
	Type    string // assisted
	Body    hcl.Body
	Context *hcl.EvalContext
	Range   hcl.Range
}

// A Node is one planned node. Its identity is known before anything exists.
type Node struct {
	Name    string // control-0
	Full    string // control-0.mycluster.lab.test
	Role    Role
	CPUs    int
	Memory  int        // MiB
	Disk    int        // GiB
	Address netip.Addr // zero: by DHCP
	MAC     net.HardwareAddr
	UUID    uuid.UUID
	Network Network
	Spread  string            // how the nodes of a block are spread over hypervisor nodes: see SpreadNode
	Labels  map[string]string // put on the cluster's node object
	Range   hcl.Range         // of the machines block
}

// DHCP reports whether n's address is known only once it has booted.
func (n Node) DHCP() bool { return !n.Address.IsValid() }

// How the nodes of a machines block are spread over hypervisor nodes.
const (
	SpreadNode = "node" // as evenly as can be, the default
	SpreadNone = "none" // wherever there is most room
)
