package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/spec"
)

// Version is the version of the JSON form of a Plan.
const Version = 1

// An Action is what happens to something.
type Action string

// The actions. What is kept, extra or gone is nothing to do.
const (
	Create Action = "create"
	Adopt  Action = "adopt"  // it exists with the cluster's mark, but no state here knows it
	Update Action = "update" // it exists and differs in what `up` can put right
	Keep   Action = "keep"
	Extra  Action = "extra"  // it carries the cluster's mark, but the spec does not have it; `up` leaves it alone
	Gone   Action = "gone"   // the state knows it, but neither world nor spec have it
	Refuse Action = "refuse" // `up` ends before it changes anything, for this reason
	Delete Action = "delete"
)

// Actions lists all actions, in the order in which a summary counts them.
var Actions = []Action{Create, Adopt, Update, Keep, Extra, Gone, Refuse, Delete}

// Does reports whether `up` or `down` has anything to do about it.
func (a Action) Does() bool { return a != Keep && a != Extra && a != Gone }

// A Kind is a kind of thing that is made for a cluster.
type Kind string

// The kinds, in the order in which they are made.
const (
	Services     Kind = "services"
	Registration Kind = "registration" // cluster and infra env at the installer
	Image        Kind = "image"        // boot image in the provider's storage
	Machine      Kind = "machine"
	Cluster      Kind = "cluster" // the installation itself
)

// Kinds lists all kinds, in the order in which they are made.
var Kinds = []Kind{Services, Registration, Image, Machine, Cluster}

// Observed is what exists of a cluster. The zero value is nothing.
type Observed struct {
	Machines   []provider.Machine    // those that carry its mark, in any order
	Recorded   map[string]bool       // the nodes whose machines our state knows
	Made       map[string]bool       // those of them whose machines have existed
	Learned    map[string]netip.Addr // addresses by DHCP, by node
	Repairs    bool                  // the provider is a provider.Repairer
	Services   bool                  // DNS and load balancer run
	Served     *services.Document    // what they were told to serve; nil: not known
	Registered bool                  // the installer's objects exist
	Image      bool                  // the boot image is stored
	Disk       bool                  // and the image that the services machine begins with
	Installed  bool                  // all planned nodes were seen Ready
	Release    string                // that the cluster runs, such as 4.20.3; "": not known
	Ready      bool                  // they were so once, as our state knows
}

// A Plan is the list of changes for one cluster. Its JSON form is stable:
// docs/plan.md says what each field means.
type Plan struct {
	Version      int           `json:"version"`
	Cluster      string        `json:"cluster"`         // full name
	Destroy      bool          `json:"destroy"`         // made by Teardown
	Spec         string        `json:"spec,omitempty"`  // digest of the cluster as the spec has it
	World        string        `json:"world,omitempty"` // digest of what was observed
	Changes      []Change      `json:"changes"`
	Reservations []Reservation `json:"reservations,omitempty"`
	Records      []Record      `json:"records,omitempty"`
	Frontends    []Frontend    `json:"frontends,omitempty"`
	Explain      []Explanation `json:"explain,omitempty"` // see [Explain]; only when asked for
}

// A Change is one thing to be made, kept or deleted.
type Change struct {
	Action Action  `json:"action"`
	Kind   Kind    `json:"kind"`
	Name   string  `json:"name"`             // unique among those of its kind, but for extra machines
	Detail string  `json:"detail,omitempty"` // what it is, where Node does not say
	Node   *Node   `json:"node,omitempty"`   // of a machine
	Reason string  `json:"reason,omitempty"` // why this action
	Next   string  `json:"next,omitempty"`   // what a person can do about it, where `up` does nothing
	Drift  []Drift `json:"drift,omitempty"`  // how what exists differs from the spec
}

// A Node is the node that a machine is for.
type Node struct {
	Name    string    `json:"name"` // control-0
	Role    spec.Role `json:"role,omitempty"`
	CPUs    int       `json:"cpus"`
	Memory  int       `json:"memory_mib"`
	Disk    int       `json:"disk_gib"`
	DHCP    bool      `json:"dhcp,omitempty"`    // Address is known once it was given out
	Address string    `json:"address,omitempty"` // "": not known
	MAC     string    `json:"mac,omitempty"`
	UUID    string    `json:"uuid"`
	ID      string    `json:"id,omitempty"`    // the provider's, once there is one
	Place   string    `json:"place,omitempty"` // hypervisor node, likewise
}

// Make plans what brings c about. The services document is the one that is
// going to be served: the plan shows its names and ports.
func Make(c spec.Cluster, served services.Document, o Observed) Plan {
	p := Plan{Version: Version, Cluster: c.FullName(), Spec: specDigest(c), World: o.digest(),
		Reservations: reservations(c, o), Records: records(served), Frontends: frontends(served)}
	if c.Services.Mode != spec.ServicesExternal {
		p.add(o.serve(c, served))
	}
	p.add(ensure(o.Registered || o.Installed, Change{Kind: Registration, Name: c.FullName(), Detail: c.Installer.Type + " installer"}))
	if !o.Installed {
		p.add(ensure(o.Image, Change{Kind: Image, Name: c.FullName(), Detail: "discovery ISO"}))
	}
	p.machines(c, o)
	p.add(o.install(c))
	return p
}

// Teardown plans the removal of all that exists of the cluster with that full
// name, in the reverse of the order in which it was made.
func Teardown(cluster string, o Observed) Plan {
	p := Plan{Version: Version, Cluster: cluster, Destroy: true, Changes: []Change{}}
	p.remove(o.Installed, Change{Kind: Cluster, Name: cluster, Detail: "the installed cluster with all its data"})
	machines := sorted(o.Machines)
	for i := range machines {
		m := machines[len(machines)-1-i]
		p.add(Change{Action: Delete, Kind: Machine, Name: m.Name, Node: nodeOf(m)})
	}
	p.remove(o.Disk, Change{Kind: Image, Name: spec.ServicesName + "." + cluster, Detail: "cloud image"})
	p.remove(o.Image, Change{Kind: Image, Name: cluster, Detail: "boot image"})
	p.remove(o.Registered, Change{Kind: Registration, Name: cluster, Detail: "cluster and infra env at the installer"})
	p.remove(o.Services, Change{Kind: Services, Name: cluster, Detail: "DNS and load balancer"})
	return p
}

func (p *Plan) add(c Change) { p.Changes = append(p.Changes, c) }

func (p *Plan) remove(exists bool, c Change) {
	if exists {
		c.Action = Delete
		p.add(c)
	}
}

// ensure completes c, which is created unless it exists.
func ensure(exists bool, c Change) Change {
	c.Action = Create
	if exists {
		c.Action = Keep
	}
	return c
}

// title says what the cluster will be.
func title(c spec.Cluster) string {
	counts := map[spec.Role]int{}
	for _, n := range c.Nodes {
		counts[n.Role]++
	}
	return fmt.Sprintf("%s, control plane %d, workers %d", c.Release, counts[spec.ControlPlane], counts[spec.Worker])
}

// Changed reports whether anything is to be done.
func (p Plan) Changed() bool {
	return slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Action.Does() })
}

// Refused returns the changes for which `up` ends before it changes anything.
func (p Plan) Refused() (why []Change) {
	for _, c := range p.Changes {
		if c.Action == Refuse {
			why = append(why, c)
		}
	}
	return why
}

// Count returns how many changes have the action.
func (p Plan) Count(a Action) int {
	n := 0
	for _, c := range p.Changes {
		if c.Action == a {
			n++
		}
	}
	return n
}

// Summary counts the changes: "6 to create, 4 to keep, 1 extra".
func (p Plan) Summary() string {
	var parts []string
	for _, a := range Actions {
		n := p.Count(a)
		switch {
		case n == 0:
		case a == Extra || a == Gone:
			parts = append(parts, fmt.Sprintf("%d %s", n, a))
		case a == Refuse:
			parts = append(parts, fmt.Sprintf("%d refused", n))
		default:
			parts = append(parts, fmt.Sprintf("%d to %s", n, a))
		}
	}
	if parts == nil {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}
