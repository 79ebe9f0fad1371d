package state

import (
	"net/netip"
	"time"

	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/provider"
)

// Kind says what a Record reports.
type Kind string

// The kinds of records. A step's are written in this order.
const (
	Created Kind = "created" // Cluster, ID: the cluster's random id, before all else
	Chose   Kind = "chose"   // Machine, Ref, Image, Cloud or Serve: an identity, before its creation
	Intent  Kind = "intent"  // Step is about to act on the world
	Handle  Kind = "handle"  // Step's remote task has begun: Handle
	Done    Kind = "done"    // Step has acted
	Failed  Kind = "failed"  // Step gave up: Error
	Undone  Kind = "undone"  // Step's effect is gone from the world
	Ejected Kind = "ejected" // Node runs from its disk; its boot media are out
	Learned Kind = "learned" // Node has Address, by DHCP
	Renewed Kind = "renewed" // Expires is another than it was
	Ready   Kind = "ready"   // the whole cluster was seen Ready
)

// A Record is one entry of a journal.
type Record struct {
	Seq     uint64            `json:"seq"`
	Time    time.Time         `json:"time"`
	Kind    Kind              `json:"kind"`
	Cluster string            `json:"cluster,omitempty"` // full name
	ID      string            `json:"id,omitempty"`      // cluster id
	Step    string            `json:"step,omitempty"`
	Node    string            `json:"node,omitempty"`
	Handle  string            `json:"handle,omitempty"` // UPID
	Error   string            `json:"error,omitempty"`
	Machine *provider.Machine `json:"machine,omitempty"`
	Ref     *installer.Ref    `json:"ref,omitempty"`
	Image   *Image            `json:"image,omitempty"`
	Cloud   *Image            `json:"cloud,omitempty"`
	Serve   *Process          `json:"serve,omitempty"`
	Serial  uint64            `json:"serial,omitempty"` // of the services document
	Address netip.Addr        `json:"address,omitzero"`
	Expires time.Time         `json:"expires,omitzero"` // zero: never
}

// An Image is the boot image of a cluster, or its cloud image.
type Image struct {
	Name   string `json:"name"`
	Ref    string `json:"ref"` // the provider's reference: local:iso/NAME, local:import/NAME
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Place  string `json:"place,omitempty"` // of a cloud image: where its machine was to be
}

// A Process is a detached process: its id and the clock ticks since boot at
// which it started, so that a recycled pid is never mistaken for it.
type Process struct {
	PID   int    `json:"pid"`
	Start string `json:"start"`
}

// A Document is what the records of one cluster add up to.
type Document struct {
	Seq      uint64                      `json:"seq"`
	Cluster  string                      `json:"cluster"`
	ID       string                      `json:"id"`
	Created  time.Time                   `json:"created"`
	Expires  time.Time                   `json:"expires,omitzero"`  // when `down --expired` may remove it; zero: never
	Machines map[string]provider.Machine `json:"machines"`          // by node
	Ejected  map[string]bool             `json:"ejected"`           // by node
	Learned  map[string]netip.Addr       `json:"learned,omitempty"` // addresses by DHCP, by node
	Steps    map[string]Step             `json:"steps"`             // by name
	Ref      *installer.Ref              `json:"ref,omitempty"`
	Image    *Image                      `json:"image,omitempty"`
	Cloud    *Image                      `json:"cloud,omitempty"` // what the services machine begins with
	Serve    *Process                    `json:"serve,omitempty"`
	Serial   uint64                      `json:"serial"`
	Ready    time.Time                   `json:"ready,omitzero"`
}

// A Step is where one step stands.
type Step struct {
	Kind   Kind      `json:"kind"` // Intent, Handle, Done, Failed, Undone
	Time   time.Time `json:"time"`
	Handle string    `json:"handle,omitempty"`
	Error  string    `json:"error,omitempty"`
}

// Mark is the ownership mark of the cluster.
func (d Document) Mark() provider.Mark { return provider.Mark{Cluster: d.Cluster, ID: d.ID} }

// Fold returns the document with r applied; d is not changed.
func (d Document) Fold(r Record) Document {
	d = d.clone()
	d.Seq = r.Seq
	switch r.Kind {
	case Created:
		d.Cluster, d.ID, d.Created = r.Cluster, r.ID, r.Time
	case Renewed:
		d.Expires = r.Expires
	case Ejected:
		d.Ejected[r.Node] = true
	case Learned:
		d.Learned[r.Node] = r.Address
	case Ready:
		d.Ready = r.Time
	}
	return d.choose(r).step(r)
}

func (d Document) choose(r Record) Document {
	if r.Machine != nil {
		d.Machines[r.Machine.Node] = *r.Machine
	}
	if r.Ref != nil {
		d.Ref = r.Ref
	}
	if r.Image != nil {
		d.Image = r.Image
	}
	if r.Cloud != nil {
		d.Cloud = r.Cloud
	}
	if r.Serve != nil {
		d.Serve = r.Serve
	}
	d.Serial = max(d.Serial, r.Serial)
	return d
}

func (d Document) step(r Record) Document {
	switch r.Kind {
	case Intent, Handle, Done, Failed, Undone:
		s := d.Steps[r.Step]
		s.Kind, s.Time, s.Error = r.Kind, r.Time, r.Error
		if r.Kind == Intent || r.Handle != "" {
			s.Handle = r.Handle
		}
		d.Steps[r.Step] = s
	}
	return d
}

func (d Document) clone() Document {
	d.Machines = copied(d.Machines)
	d.Ejected = copied(d.Ejected)
	d.Learned = copied(d.Learned)
	d.Steps = copied(d.Steps)
	return d
}

func copied[V any](m map[string]V) map[string]V {
	c := make(map[string]V, len(m)+1)
	for k, v := range m {
		c[k] = v
	}
	return c
}
