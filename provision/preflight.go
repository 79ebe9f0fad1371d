package provision

import (
	"context"
	"fmt"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/services"
)

// preflight looks, before anything is made, for all that would fail later: in
// the provider, in the installer and on this host. Warnings become events.
func (p *Project) preflight(ctx context.Context) error {
	if _, err := p.cluster.PullSecret.Reveal(); err != nil {
		return err
	}
	var fatal []provider.Problem
	for _, found := range p.findings(ctx) {
		if found.Fatal {
			fatal = append(fatal, found.problem())
			continue
		}
		p.emit(event.Event{Kind: event.Warning, Message: found.What, Hint: found.Hint})
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(fatal) > 0 {
		return &PreflightError{fatal}
	}
	return nil
}

// checkRunDir refuses a state directory that unix sockets cannot live in.
func (p *Project) checkRunDir() []provider.Problem {
	const longest = 80 // bytes, see services.ServeOptions
	if len(p.runDir()) <= longest {
		if err := services.CheckRunDir(p.runDir()); err != nil {
			return []provider.Problem{{Fatal: true, What: "run directory of slipway serve: " + err.Error(),
				Hint: "move away what is there, or choose another state directory with --home or SLIPWAY_HOME"}}
		}
		return nil
	}
	return []provider.Problem{{Fatal: true, What: fmt.Sprintf("the path of the state directory %s is too long for the sockets of slipway serve", p.Home),
		Hint: fmt.Sprintf("choose a shorter one with --home or SLIPWAY_HOME: at most %d bytes", longest-len("/run/00000000"))}}
}

// refuseReplacement says that a cluster which was Ready lacks a machine: a new
// one would boot the image of an installation that has ended.
func (r *run) refuseReplacement() error {
	doc := r.journal.Document()
	if doc.Ready.IsZero() {
		return nil
	}
	var lost []provider.Problem
	for _, n := range r.cluster.Nodes {
		if _, ok := r.found[n.Name]; ok {
			continue
		}
		what := fmt.Sprintf("node %s is new in the spec of a cluster that is installed", n.Full)
		if _, known := doc.Machines[n.Name]; known {
			what = fmt.Sprintf("machine %s is gone from the provider although its node had joined", n.Full)
		}
		lost = append(lost, provider.Problem{What: what, Fatal: true,
			Hint: "`up` gives an installed cluster no new machines: run `slipway down`, then `slipway up`"})
	}
	if len(lost) > 0 {
		return &PreflightError{lost}
	}
	return nil
}
