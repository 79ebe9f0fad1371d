package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/state"
)

// A Goal is what [Project.Wait] waits for.
type Goal string

// The goals.
const (
	Installed Goal = "installed" // the installer is done, credentials are here
	Ready     Goal = "ready"     // and all that `up` asks besides holds
)

const (
	verbWait  = "wait"
	lockEvery = 2 * time.Second
)

// Wait sees an installation through that `up` began: everything `up` does once
// the machines have booted, and nothing of what comes before. While another
// run of up or wait has the cluster it follows that one, and goes on itself
// when that ends without having reached the goal. It has no end in time but
// that of its steps and of ctx.
func (p *Project) Wait(ctx context.Context, goal Goal) (result Result, err error) {
	defer p.story(verbWait, &err)()
	r, err := p.follow(ctx, goal)
	if err != nil {
		return Result{}, err
	}
	if r == nil {
		return p.lookResult(ctx), nil
	}
	defer r.close()
	defer r.explainDisk(&err)
	if err := r.resume(ctx); err != nil {
		return Result{}, err
	}
	if err := r.graph(r.waiting(goal)).Run(ctx); err != nil {
		return Result{}, err
	}
	if goal == Installed {
		return p.lookResult(ctx), nil
	}
	return r.result(r.report), r.journal.Append(state.Record{Kind: state.Ready})
}

// follow takes the cluster as soon as no other run of up or wait has it; nil
// without an error says that the other one has reached the goal.
func (p *Project) follow(ctx context.Context, goal Goal) (*run, error) {
	told := ""
	for {
		r, err := p.take(ctx, verbWait)
		var held *state.HeldError
		if !errors.As(err, &held) || !slices.Contains([]string{"", "up", verbWait}, held.Holder.Verb) {
			return r, err
		}
		if p.installedElsewhere(ctx) && goal == Installed {
			return nil, nil
		}
		if now := held.Error(); held.Holder.Step != told {
			told = held.Holder.Step
			p.emit(event.Event{Kind: event.Note, Message: now + ": following it"})
		}
		if err := p.Pace.Wait(ctx, lockEvery); err != nil {
			return nil, fmt.Errorf("%w: %v", err, held) // not a refusal: it was followed
		}
	}
}

// installedElsewhere reports whether the run that has the cluster is past the
// installation.
func (p *Project) installedElsewhere(ctx context.Context) bool {
	doc, err := p.store.Read(ctx, p.cluster.FullName())
	return err == nil && doc.Steps["credentials"].Kind == state.Done
}

// resume looks whether there is something to wait for, and readies the run.
func (r *run) resume(ctx context.Context) error {
	doc := r.journal.Document()
	if doc.ID == "" {
		return nothingToWait(fmt.Sprintf("nothing is known here of cluster %s", r.cluster.FullName()))
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	for _, n := range r.cluster.Placed() {
		if m, ok := r.machine(n.Name); !ok || m.Power == provider.PowerOff {
			return nothingToWait(fmt.Sprintf("machine %s does not run", n.Full))
		}
	}
	if doc.Ref == nil {
		return nothingToWait("nothing is registered with the installer")
	}
	r.whole = r.joined(ctx)
	return r.loadKey()
}

func nothingToWait(why string) error {
	return hint.With(errors.New("there is no installation to wait for: "+why), "`slipway up` begins it, or goes on")
}

// waiting is the graph of wait. The services are part of it: without them no
// installation goes on.
func (r *run) waiting(goal Goal) []phase.Step {
	services := []phase.Step{r.serve()}
	if goal == Installed {
		return append(services, r.installing(names(services))...)
	}
	return append(services, r.watching(names(services))...)
}

// lookResult is what is handed over of a cluster as it is seen now.
func (p *Project) lookResult(ctx context.Context) Result {
	ctx, cancel := context.WithTimeout(ctx, askAPI)
	defer cancel()
	report, _ := p.joinReport(ctx) // a cluster that does not answer yet has no node Ready
	return p.result(report)
}
