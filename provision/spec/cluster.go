package spec

import (
	"net"
	"net/netip"

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
}

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
	Network    Network
	Range      hcl.Range
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

// Services says where DNS and load balancer live.
type Services struct {
	Address netip.Addr
	Range   hcl.Range // of the address
	DNS     DNS
}

// Resolver is where nodes ask for names: the services address, or the user's
// own server.
func (s Services) Resolver() netip.Addr {
	if s.DNS.Server.IsValid() {
		return s.DNS.Server.Addr()
	}
	return s.Address
}

// A Node is one planned node. Its identity is known before anything exists.
type Node struct {
	Name    string // control-0
	Full    string // control-0.mycluster.lab.test
	Role    Role
	CPUs    int
	Memory  int // MiB
	Disk    int // GiB
	Address netip.Addr
	MAC     net.HardwareAddr
	UUID    uuid.UUID
	Range   hcl.Range // of the machines block
}
