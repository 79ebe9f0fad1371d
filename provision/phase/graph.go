package phase

import (
	"context"
	"fmt"
	"slices"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/state"
)

// A Graph is a list of steps and all they need to run. Use it once.
type Graph struct {
	Steps   []Step
	Journal state.Journal
	Sink    event.Sink
	Pace    pace.Pace
	// Limits bounds how many steps of one Resource run at a time; a resource
	// without a limit is unbounded. Steps that are listed first go first.
	Limits map[string]int
	// Seed spreads the pauses before retries, so that runs which met the same
	// fault do not come back together. The same seed gives the same pauses.
	Seed uint64
	// Crash is called at each of the six crash points of a step; nil does
	// nothing.
	Crash func(step string, at Point)
}

// A Point is an instant of a step at which a run may be killed.
type Point string

// The crash points, in order.
const (
	BeforeIntent Point = "before-intent"
	AfterIntent  Point = "after-intent"
	BeforeHandle Point = "before-handle" // the remote task runs, its handle is not recorded
	AfterHandle  Point = "after-handle"
	BeforeDone   Point = "before-done" // the world is changed, the journal does not say so
	AfterDone    Point = "after-done"
)

// Run does every step after those it needs. After the first failure no new
// step begins and those under way are cancelled; the failures that were not
// caused by that cancelling are returned, joined.
func (g *Graph) Run(ctx context.Context) error {
	return g.walk(ctx, g.Steps, needs(g.Steps), g.do, true)
}

// Undo undoes every step that can be undone, each after the steps that need
// it. A failure keeps only what it needs from being undone.
func (g *Graph) Undo(ctx context.Context) error {
	order := slices.Clone(g.Steps)
	slices.Reverse(order)
	return g.walk(ctx, order, reversed(g.Steps), g.undo, false)
}

func needs(steps []Step) map[string][]string {
	waits := map[string][]string{}
	for _, s := range steps {
		waits[s.Name] = s.Needs
	}
	return waits
}

func reversed(steps []Step) map[string][]string {
	waits := map[string][]string{}
	for _, s := range steps {
		for _, need := range s.Needs {
			waits[need] = append(waits[need], s.Name)
		}
	}
	return waits
}

// check refuses a graph that could never be walked: a bug of ours.
func check(steps []Step) error {
	seen := map[string]bool{}
	for _, s := range steps {
		if seen[s.Name] {
			return fmt.Errorf("step %q is listed twice", s.Name)
		}
		for _, need := range s.Needs {
			if !seen[need] {
				return fmt.Errorf("step %q needs %q, which is not listed before it", s.Name, need)
			}
		}
		seen[s.Name] = true
	}
	return nil
}
