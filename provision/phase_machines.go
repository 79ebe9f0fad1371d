package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
	"github.com/slipway-project/slipway/provision/state"
)

const maxAllocations = 20

// allocated reports whether everything that gets a machine has its id.
func (r *run) allocated(context.Context) (bool, error) {
	known := r.journal.Document().Machines
	for _, n := range r.cluster.Placed() {
		if known[n.Name].ID == "" {
			return false, nil
		}
	}
	return true, nil
}

// allocate chooses ids one after another and records each before anything is
// made under it.
func (r *run) allocate(ctx context.Context) error {
	for _, n := range r.cluster.Placed() {
		if r.journal.Document().Machines[n.Name].ID != "" {
			continue
		}
		if _, err := r.allot(ctx, n, nil); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) allot(ctx context.Context, n spec.Node, taken []string) (provider.Machine, error) {
	for _, other := range r.journal.Document().Machines {
		taken = append(taken, other.ID)
	}
	m, err := r.provider.Allocate(ctx, r.wantMachine(n, r.mark()), taken)
	if err != nil {
		return m, fmt.Errorf("choose an id for %s: %w", n.Full, err)
	}
	return m, r.journal.Append(state.Record{Kind: state.Chose, Node: n.Name, Machine: &m})
}

// made reports whether the machine was found when the run began.
func (r *run) made(n spec.Node) func(context.Context) (bool, error) {
	return func(context.Context) (bool, error) {
		_, ok := r.machine(n.Name)
		return ok, nil
	}
}

func (r *run) makeMachine(n spec.Node) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := r.create(ctx, n, r.provider.Ensure)
		return err
	}
}

// create has ensure make n's machine under its recorded id; when something
// foreign took the id meanwhile, it chooses and records another.
func (r *run) create(ctx context.Context, n spec.Node, ensure func(context.Context, provider.Machine) (provider.Machine, error)) (provider.Machine, error) {
	m := r.journal.Document().Machines[n.Name]
	m.Mark = r.mark()
	var taken []string
	for range maxAllocations {
		made, err := ensure(ctx, m)
		if err == nil {
			r.saw(made)
			return made, r.journal.Append(state.Record{Kind: state.Chose, Node: n.Name, Machine: &made})
		}
		if !errors.Is(err, provider.ErrTaken) {
			return m, err
		}
		taken = append(taken, m.ID)
		if m, err = r.allot(ctx, n, taken); err != nil {
			return m, err
		}
	}
	return m, fmt.Errorf("create %s: %d ids in a row were taken by others", n.Full, maxAllocations)
}

// running reports whether the machine is on. Whether it boots the image or
// its disk is decided by the disk: boot order is disk, then CD.
func (r *run) running(n spec.Node) func(context.Context) (bool, error) {
	return func(context.Context) (bool, error) {
		m, ok := r.machine(n.Name)
		return ok && m.Power == provider.PowerOn, nil
	}
}

func (r *run) boot(n spec.Node) func(context.Context) error {
	return func(ctx context.Context) error {
		doc := r.journal.Document()
		m := doc.Machines[n.Name]
		if !doc.Ejected[n.Name] && !r.whole {
			if err := r.provider.Insert(ctx, m, doc.Image.Ref); err != nil {
				return fmt.Errorf("insert %s into %s: %w", doc.Image.Name, n.Full, err)
			}
		}
		if err := r.provider.PowerOn(ctx, m); err != nil {
			return err
		}
		m.Power = provider.PowerOn
		r.saw(m)
		return nil
	}
}
