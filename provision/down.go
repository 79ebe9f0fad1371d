package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/plan"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/state"
)

const phaseTeardown = "teardown"

// Down removes everything that carries the cluster's name: machines, boot
// images, installer objects, services, and last the state. It needs no state
// to find them. confirm is shown what will go and may decline by an error. A
// cluster that the spec protects is refused with [ErrProtected].
func (p *Project) Down(ctx context.Context, confirm func(plan.Plan) error) error {
	if err := p.refuseProtected(); err != nil {
		return err
	}
	return p.down(ctx, confirm, func(state.Document) error { return nil })
}

// DownExpired is Down for a cluster whose ttl has passed; any other is left
// alone with [ErrNotExpired].
func (p *Project) DownExpired(ctx context.Context, confirm func(plan.Plan) error) error {
	if err := p.checkExpired(ctx); err != nil {
		return err
	}
	if err := p.refuseProtected(); err != nil {
		return err
	}
	return p.down(ctx, confirm, p.refuseUnexpired)
}

// down removes the cluster if allow, asked once nobody else can change the
// state, has nothing against it.
func (p *Project) down(ctx context.Context, confirm func(plan.Plan) error, allow func(state.Document) error) (err error) {
	r, err := p.take(ctx, "down")
	if err != nil {
		return err
	}
	defer r.close()
	if err := allow(r.journal.Document()); err != nil {
		return err
	}
	defer p.story("down", &err)()
	defer r.explainDisk(&err)
	if err := r.look(ctx); err != nil {
		return err
	}
	observed, err := r.observe(ctx, r.journal.Document(), r.found)
	if err != nil {
		return err
	}
	if err := confirm(plan.Teardown(r.cluster.FullName(), observed)); err != nil {
		return err
	}
	if err := r.identify(); err != nil {
		return err
	}
	return r.remove(ctx)
}

// remove takes everything down, and the state when nothing is left.
func (r *run) remove(ctx context.Context) error {
	undone := r.graph(r.teardown()).Undo(ctx)
	if errors.Is(undone, ErrInterrupted) {
		return undone
	}
	if err := r.verifyGone(ctx, undone); err != nil {
		return err
	}
	if err := r.releaseNetwork(ctx); err != nil {
		return &PartialError{Err: err}
	}
	return r.journal.Remove()
}

// teardown is the graph that down walks backwards: machines go first, then
// what they stood on.
func (r *run) teardown() []phase.Step {
	steps := []phase.Step{
		{Name: "services", Phase: phaseTeardown, Undo: r.stopServices, Budget: 2 * time.Minute},
		{Name: "registration", Phase: phaseTeardown, Undo: r.unregister, Budget: 5 * time.Minute},
		{Name: "image", Phase: phaseTeardown, Undo: r.dropImages, Budget: 5 * time.Minute},
	}
	if r.updatesDNS() {
		steps = append(steps, phase.Step{Name: "names", Phase: phaseTeardown, Undo: r.pullNames, Budget: 2 * time.Minute})
	}
	var under []string
	for _, s := range steps {
		under = append(under, s.Name)
	}
	for node, m := range r.everyMachine() {
		steps = append(steps, phase.Step{Name: "machine " + node, Phase: phaseTeardown, Node: node, Resource: resourceProvider,
			Needs: under, Budget: 10 * time.Minute,
			Undo: func(ctx context.Context) error { return r.provider.Release(ctx, m) }})
	}
	return steps
}

// everyMachine is what was found and what the journal knows besides: a create
// that was cut off may not show its mark yet.
func (r *run) everyMachine() map[string]provider.Machine {
	all := maps.Clone(r.journal.Document().Machines)
	maps.Copy(all, r.found)
	return all
}

func (r *run) unregister(ctx context.Context) error {
	return r.installer.Remove(ctx, provider.Mark{Cluster: r.cluster.FullName()})
}

// dropImages removes the cluster's images, whatever they were for.
func (r *run) dropImages(ctx context.Context) error {
	refs, err := r.provider.Images(ctx, provider.Mark{Cluster: r.cluster.FullName()})
	if err != nil {
		return err
	}
	if err := r.drop(ctx, "boot image", refs); err != nil {
		return err
	}
	if err := r.dropCloudImages(ctx); err != nil {
		return err
	}
	return os.RemoveAll(r.file("media"))
}

// drop removes images. A token without the right to delete leaves them behind,
// which harms nothing and is said.
func (r *run) drop(ctx context.Context, what string, refs []string) error {
	for _, ref := range refs {
		err := r.provider.Drop(ctx, ref)
		if errors.Is(err, provider.ErrMayNot) {
			r.emit(event.Event{Kind: event.Warning, Message: fmt.Sprintf("%s %s stays: the token may not delete it (it needs Datastore.Allocate on that storage)", what, ref)})
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// verifyGone looks again: what is left decides, not what was called.
func (r *run) verifyGone(ctx context.Context, undone error) error {
	if err := r.look(ctx); err != nil {
		return &PartialError{Err: errors.Join(undone, err)}
	}
	var left []string
	for _, m := range sorted(r.found) {
		left = append(left, fmt.Sprintf("machine %s (%s on %s)", m.Name, m.ID, m.Place))
	}
	if undone != nil || len(left) > 0 {
		if undone == nil {
			undone = errors.New("the provider still lists them")
		}
		return &PartialError{Left: left, Err: undone}
	}
	return nil
}
