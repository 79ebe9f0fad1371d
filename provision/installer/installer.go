// Package installer says what slipway asks of the thing that turns booted
// machines into cluster nodes.
package installer

import (
	"context"
	"io"
	"net/netip"
	"strings"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/provision/provider"
)

// Role is what a node does in the cluster.
type Role string

// The roles.
const (
	ControlPlane Role = "control-plane"
	Worker       Role = "worker"
)

// A Cluster is what the installer must know of the spec.
type Cluster struct {
	Name       string         // mycluster
	Domain     string         // lab.test
	Release    string         // okd-4.20, ocp-4.20.3
	Mark       provider.Mark  // written on every object that is registered
	PullSecret secret.Value   // absent: a fake one that parses (OKD needs none)
	SSHKeys    []string       // authorized_keys lines
	DNS        []netip.Addr   // resolvers of the hosts: the services address
	NTP        []string       // additional time sources, may be empty
	Networks   []netip.Prefix // machine networks
	Hosts      []Host         // control plane first
}

// FullName is <name>.<domain>.
func (c Cluster) FullName() string { return c.Name + "." + c.Domain }

// A Host is a planned node as the installer will see it.
type Host struct {
	ID       uuid.UUID // host id the service will report: the SMBIOS UUID
	Node     string    // control-0
	Hostname string    // control-0.mycluster.lab.test
	Role     Role
	CPUs     int // 0: not known; so with the next two
	Memory   int // MiB
	Disk     int // GiB
	NICs     []HostNIC
}

// A HostNIC is the network configuration of one interface.
type HostNIC struct {
	MAC     string
	Address netip.Prefix // zero: DHCP
	Gateway netip.Addr   // zero: none
	MTU     int          // 0: default
}

// A Ref is what was registered; it is journaled and handed back.
type Ref struct {
	ClusterID  string `json:"cluster_id"`
	InfraEnvID string `json:"infra_env_id"`
}

// State is where the installation as a whole stands.
type State string

// The states, in order; Failed is terminal, Stuck wants a person.
const (
	Discovering State = "discovering" // hosts are missing or not yet fit
	Ready       State = "ready"       // exactly the planned hosts are known and fit
	Installing  State = "installing"
	Finalizing  State = "finalizing"
	Installed   State = "installed"
	Failed      State = "failed"
)

// Progress is one look at the installation.
type Progress struct {
	State    State
	Percent  int            // 0-100
	Info     string         // the service's own words
	Stage    string         // finalizing stage, when there is one
	Hosts    []HostProgress // planned hosts, in the order of the cluster
	Strange  []string       // hosts that registered and are not in the spec
	Blocking []Finding      // failed validations, by cluster ("") or host
}

// HostProgress is one look at one planned host.
type HostProgress struct {
	Node      string
	Seen      bool   // it has registered
	Fit       bool   // known: nothing stands against installing it
	State     string // the service's state word
	Stage     string // Writing image to disk
	Percent   int
	Info      string
	Rebooted  bool // it has left the live system: media may be ejected
	WrongBoot bool // it booted the image again instead of the disk
	Done      bool
	Failed    bool       // of itself, not because another has: Info says why
	Address   netip.Addr // of its first planned NIC, by its own account; zero: not known
}

// A Finding is a failed validation.
type Finding struct {
	Node    string // "" for the cluster
	ID      string // api-domain-name-resolved-correctly
	Message string
}

// String is the finding with whom it is about.
func (f Finding) String() string { return strings.TrimSpace(f.Node + " " + f.ID + ": " + f.Message) }

// Credentials is what a finished installation hands over. Kubeconfig and
// Password are secret.
type Credentials struct {
	Kubeconfig []byte
	Password   string
	Console    string // URL, "" while unknown
}

// Installer is one install engine. Methods are safe for repetition after a
// crash: each first looks for what an earlier run made under the same mark.
type Installer interface {
	// Check looks for everything that would fail later.
	Check(ctx context.Context, c Cluster) []provider.Problem
	// Register makes the cluster and infra env, or finds those that carry the mark.
	Register(ctx context.Context, c Cluster) (Ref, error)
	// Media writes the boot image to w and returns its size in bytes.
	Media(ctx context.Context, ref Ref, w io.Writer, progress func(got, total int64)) (int64, error)
	// Look looks once and changes nothing.
	Look(ctx context.Context, c Cluster, ref Ref) (Progress, error)
	// Poll looks once, and sets role, host name and disk where they differ.
	Poll(ctx context.Context, c Cluster, ref Ref) (Progress, error)
	// Install begins the installation; already begun is no error.
	Install(ctx context.Context, ref Ref) error
	// Credentials fetches what is handed over.
	Credentials(ctx context.Context, c Cluster, ref Ref) (Credentials, error)
	// Find lists what carries the mark.
	Find(ctx context.Context, owner provider.Mark) ([]Ref, error)
	// Remove deletes what carries the mark; absent is no error.
	Remove(ctx context.Context, owner provider.Mark) error
}
