package node

import (
	"context"
	"errors"
	"net/netip"
	"sync"
)

// A Host is a simulated machine. It is safe for concurrent use.
type Host struct {
	hw     Hardware
	shared Shared

	power   sync.Mutex // one PowerOn or PowerOff at a time
	cut     context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	cd    string
	state HostState
}

// A Phase is what a host is doing.
type Phase string

// The phases.
const (
	PhaseOff      Phase = "off"
	PhaseFirmware Phase = "firmware" // self-test, looking for something to boot
	PhaseLive     Phase = "live"     // the system on the CD runs
	PhaseWriting  Phase = "writing"  // and writes the image to the disk
	PhaseBooted   Phase = "booted"   // the system on the disk runs
)

// A HostState is a host as a person at its console sees it.
type HostState struct {
	Phase     Phase        `json:"phase"`
	Boots     int          `json:"boots"`               // systems booted since it was made
	Addresses []netip.Addr `json:"addresses,omitempty"` // of its interfaces
	Hostname  string       `json:"hostname,omitempty"`
	Stuck     string       `json:"stuck,omitempty"` // why it does not get on, "" when it does
	// Ignition is who served the configuration of the installed system at its
	// first boot: the address it was connected to, asking for api-int.
	Ignition string `json:"ignition,omitempty"`
}

// String is the phase, and why the host is stuck in it.
func (s HostState) String() string {
	if s.Stuck == "" {
		return string(s.Phase)
	}
	return string(s.Phase) + ": " + s.Stuck
}

// New returns a host that is off. Hosts of one World share its site.
func New(hw Hardware, shared Shared) *Host {
	return &Host{hw: hw, shared: shared, state: HostState{Phase: PhaseOff}}
}

// PowerOn plugs the cables and starts the firmware with the image at path cd
// in the tray, "" for none. It returns at once; a host that is on stays as it
// is, except for the tray.
func (h *Host) PowerOn(cd string) error {
	h.power.Lock()
	defer h.power.Unlock()
	h.SetMedia(cd)
	if h.cut != nil {
		return nil
	}
	if err := h.eachLink(Link.Up); err != nil {
		return err
	}
	ctx, cut := context.WithCancel(context.Background())
	h.cut = cut
	h.update(func(s *HostState) { s.Phase, s.Stuck = PhaseFirmware, "" })
	h.running.Go(func() { h.run(ctx) })
	return nil
}

// PowerOff cuts the power: the cables fall silent first, so that nobody is
// told; what was not yet written to the disk is lost. It returns when all of
// the host has ended. Switching off twice is no error.
func (h *Host) PowerOff() {
	h.power.Lock()
	defer h.power.Unlock()
	if h.cut == nil {
		return
	}
	h.eachLink(Link.Down) // a cable that is gone already is as good as pulled
	h.cut()
	h.running.Wait()
	h.cut = nil
	h.update(func(s *HostState) {
		*s = HostState{Phase: PhaseOff, Boots: s.Boots}
	})
}

// Close switches the host off.
func (h *Host) Close() error {
	h.PowerOff()
	return nil
}

// SetMedia puts the image at path cd into the tray, or empties it for "".
func (h *Host) SetMedia(cd string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cd = cd
}

func (h *Host) media() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cd
}

// State returns what the host is doing.
func (h *Host) State() HostState {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.state
	s.Addresses = append([]netip.Addr(nil), s.Addresses...)
	return s
}

func (h *Host) update(change func(*HostState)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.state)
}

// stuck says why the host does not get on; nil clears it.
func (h *Host) stuck(err error) {
	h.update(func(s *HostState) {
		s.Stuck = ""
		if err != nil && !errors.Is(err, context.Canceled) {
			s.Stuck = err.Error()
		}
	})
}

func (h *Host) eachLink(do func(Link) error) error {
	var errs []error
	for _, nic := range h.hw.NICs {
		errs = append(errs, do(nic.Link))
	}
	return errors.Join(errs...)
}
