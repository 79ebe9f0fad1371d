// Package provider says what slipway asks of the thing that machines come
// from: a hypervisor that creates them, or a rack that they are claimed from.
//
// The core is small and every method may be repeated; what a provider can do
// beyond it is found by type assertion while planning, so that a lack is a
// diagnostic and not an error at 3 a.m.
package provider

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/google/uuid"
)

// A Mark says whose a machine is. It is written on the object itself by the
// call that creates it.
type Mark struct {
	Cluster string `json:"cluster"`      // full cluster name: mycluster.lab.test
	ID      string `json:"id,omitempty"` // random cluster id; empty matches any
}

// Owns reports whether m covers an object marked with other.
func (m Mark) Owns(other Mark) bool {
	return m.Cluster == other.Cluster && (m.ID == "" || m.ID == other.ID)
}

// A NIC is one network device.
type NIC struct {
	MAC    net.HardwareAddr `json:"mac"`
	Bridge string           `json:"bridge,omitempty"` // empty: the provider's default
	VLAN   int              `json:"vlan,omitempty"`   // 0: untagged
	MTU    int              `json:"mtu,omitempty"`    // 0: the bridge's
}

// Power is the power state of a machine as the provider reports it.
type Power string

// Power states; PowerUnknown is a legal answer of machines nobody can ask.
const (
	PowerUnknown Power = ""
	PowerOff     Power = "off"
	PowerOn      Power = "on"
)

// SpreadNone is the Spread of machines that may all stand in one place.
const SpreadNone = "none"

// A Machine is what a node runs on. ID and Place are chosen by
// [Allocator.Allocate] and recorded before the machine exists.
type Machine struct {
	Node   string    `json:"node"`             // control-0
	Name   string    `json:"name"`             // control-0.mycluster.lab.test
	Mark   Mark      `json:"mark"`             // whose it is
	ID     string    `json:"id"`               // the provider's id: a VMID
	Place  string    `json:"place"`            // hypervisor node
	UUID   uuid.UUID `json:"uuid"`             // SMBIOS UUID
	NICs   []NIC     `json:"nics"`             //
	CPUs   int       `json:"cpus"`             //
	Memory int       `json:"memory"`           // MiB
	Disk   int       `json:"disk"`             // GiB; the system goes on it
	Disks  []int     `json:"disks,omitempty"`  // GiB; further disks, empty
	Spread string    `json:"spread,omitempty"` // SpreadNone: wherever there is most room; else evenly over places
	Media  string    `json:"media"`            // reference of the inserted image, "" when the tray is empty
	Power  Power     `json:"power"`            // as observed
	Tags   []string  `json:"tags"`             // for people, never for decisions
	Adrift []string  `json:"adrift"`           // differences from what was asked, for people
}

// Caps says what a provider can do at all; plan reads it offline.
type Caps struct {
	Creates bool // machines are created, not claimed
	Media   bool // boots from attached images
}

// A Problem is something that would fail later, found early.
type Problem struct {
	What  string // "storage \"local\" on node \"pve\" does not take ISO images"
	Hint  string // what to do or run
	Fatal bool   // false: a warning
	Err   error  // what was met, when it decides how the run ends: an unreadable secret
}

// A Request is what a run is going to ask of the provider.
type Request struct {
	Machines   []Machine
	Addresses  map[string][]netip.Addr // of the machines, by full name
	Image      string                  // file name of the boot image, "" when there is none yet
	ImageBytes int64                   // 0: not known yet
	Cloud      bool                    // one of the machines is still to be made by [CloudImager]
	CloudBytes int64                   // of its disk image; 0: not known yet
}

// Provider is the core that each kind of machine has. Methods are safe for
// concurrent use and for repetition after a crash.
type Provider interface {
	// Caps says what the provider can do at all.
	Caps() Caps
	// Check looks for everything that would fail later, and says how to mend it.
	Check(ctx context.Context, want Request) []Problem
	// Find lists the machines that carry the mark, in name order.
	Find(ctx context.Context, owner Mark) ([]Machine, error)
	// Ensure creates m under its ID, or adopts the machine that already
	// carries its mark and name. It starts nothing. A foreign machine under
	// the same ID is [ErrTaken]: allocate anew.
	Ensure(ctx context.Context, m Machine) (Machine, error)
	// Release undoes Ensure, running or not. A machine already gone is no
	// error; one that does not carry m's mark is never touched.
	Release(ctx context.Context, m Machine) error
}

// ErrTaken is returned by Ensure when m's ID belongs to something else.
var ErrTaken = errors.New("id is taken")

// An Allocator chooses ID and Place before the machine exists, so that they
// can be recorded first. It reserves nothing: Ensure may still say ErrTaken.
type Allocator interface {
	Allocate(ctx context.Context, m Machine, avoid []string) (Machine, error)
}

// A Powerer switches machines. On and Off are no error when it is already so;
// Off is immediate (an uninstalled system answers no ACPI button).
type Powerer interface {
	PowerOn(ctx context.Context, m Machine) error
	PowerOff(ctx context.Context, m Machine) error
}

// A MediaInserter is a Provider whose machines boot from an attached image.
// Boot order is always disk, then CD.
type MediaInserter interface {
	Insert(ctx context.Context, m Machine, ref string) error
	Eject(ctx context.Context, m Machine) error
}

// An Image is a boot image on this host.
type Image struct {
	Name   string // file name: slipway-mycluster.lab.test-0123456789ab.iso
	Path   string
	Size   int64
	SHA256 string // lower-case hex
}

// An ImageStore keeps boot images where machines can boot from them.
type ImageStore interface {
	// Put stores img, unless it is there already, wherever machines at the
	// given places need it, and returns the reference to insert. progress may
	// be nil; it is called with the bytes sent so far.
	Put(ctx context.Context, img Image, places []string, progress func(sent int64)) (ref string, err error)
	// Drop removes an image; absent is no error. [ErrMayNot] when the token
	// has no right to.
	Drop(ctx context.Context, ref string) error
	// Images lists the references of the images of owner.
	Images(ctx context.Context, owner Mark) ([]string, error)
}

// ErrMayNot is a refusal that leaves something behind but harms nothing.
var ErrMayNot = errors.New("no permission")

type recorderKey struct{}

// WithRecorder returns a context whose [Record] calls go to record: the
// engine journals the handle (a UPID) of a remote task before waiting for it.
func WithRecorder(ctx context.Context, record func(handle string) error) context.Context {
	return context.WithValue(ctx, recorderKey{}, record)
}

// Record hands the handle of a remote task that has begun to the engine.
func Record(ctx context.Context, handle string) error {
	if record, ok := ctx.Value(recorderKey{}).(func(string) error); ok {
		return record(handle)
	}
	return nil
}
