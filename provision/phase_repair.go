package provision

import (
	"context"
	"fmt"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

// adrift reports whether n's machine was found to differ from the spec in
// what its provider may put right.
func (r *run) adrift(n spec.Node) bool {
	_, able := r.provider.(provider.Repairer)
	m, found := r.machine(n.Name)
	return able && found && (len(m.Adrift) > 0 || m.CPUs != n.CPUs || m.Memory != n.Memory)
}

// repair has the provider put the machine right, before it is booted. What it
// has to leave as it is, it says, and that is no failure.
func (r *run) repair(n spec.Node) func(context.Context) error {
	return func(ctx context.Context) error {
		left, err := r.provider.(provider.Repairer).Repair(ctx, r.wantRepaired(n))
		if err != nil {
			return fmt.Errorf("repair %s: %w", n.Full, err)
		}
		for _, why := range left {
			r.emit(event.Event{Kind: event.Warning, Node: n.Name, Message: fmt.Sprintf("%s stays as it is: %s", n.Full, why)})
		}
		return nil
	}
}

// wantRepaired is n's machine as it should be now: with the boot image, until
// it runs from its disk.
func (r *run) wantRepaired(n spec.Node) provider.Machine {
	doc := r.journal.Document()
	m, known := r.wantMachine(n, r.mark()), doc.Machines[n.Name]
	m.ID, m.Place = known.ID, known.Place
	if doc.Image != nil && !doc.Ejected[n.Name] && !r.whole {
		m.Media = doc.Image.Ref
	}
	return m
}
