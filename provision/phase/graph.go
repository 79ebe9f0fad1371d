package phase

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

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
	// without a limit is unbounded.
	Limits map[string]int
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
	return g.walk(ctx, needs(g.Steps), g.do, true)
}

// Undo undoes every step that can be undone, each after the steps that need
// it. A failure keeps only what it needs from being undone.
func (g *Graph) Undo(ctx context.Context) error {
	return g.walk(ctx, reversed(g.Steps), g.undo, false)
}

// walk runs act for each step once the steps it waits for have ended well.
func (g *Graph) walk(ctx context.Context, waits map[string][]string, act func(context.Context, Step) error, failFast bool) error {
	if err := check(g.Steps); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := walker{limits: limiters(g.Limits), ended: map[string]chan struct{}{}, failed: map[string]bool{}}
	for _, s := range g.Steps {
		w.ended[s.Name] = make(chan struct{})
	}
	phases := tally(g.Steps, g.Sink)
	var group sync.WaitGroup
	for _, s := range g.Steps {
		group.Go(func() {
			defer close(w.ended[s.Name])
			defer phases.end(s.Phase)
			if err := w.step(ctx, s, waits[s.Name], phases, act); err != nil && failFast {
				cancel(err)
			}
		})
	}
	group.Wait()
	return w.result(ctx)
}

type walker struct {
	limits map[string]chan struct{}
	ended  map[string]chan struct{}

	mu     sync.Mutex
	failed map[string]bool
	errs   []error
}

// step returns an error only for a failure of its own.
func (w *walker) step(ctx context.Context, s Step, waits []string, phases *phases, act func(context.Context, Step) error) error {
	for _, name := range waits {
		<-w.ended[name]
	}
	if ctx.Err() != nil || w.anyFailed(waits) {
		w.fail(s.Name, nil)
		return nil
	}
	release := w.acquire(ctx, s.Resource)
	defer release()
	if ctx.Err() != nil {
		w.fail(s.Name, nil)
		return nil
	}
	phases.begin(s.Phase)
	err := act(ctx, s)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		w.fail(s.Name, nil)
		return nil
	}
	err = &Error{s.Name, s.Phase, s.Node, err}
	w.fail(s.Name, err)
	return err
}

func (w *walker) acquire(ctx context.Context, resource string) (release func()) {
	slots, limited := w.limits[resource]
	if !limited {
		return func() {}
	}
	select {
	case slots <- struct{}{}:
		return func() { <-slots }
	case <-ctx.Done():
		return func() {}
	}
}

func (w *walker) fail(name string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed[name] = true
	if err != nil {
		w.errs = append(w.errs, err)
	}
}

func (w *walker) anyFailed(names []string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(names, func(n string) bool { return w.failed[n] })
}

// result joins the failures. A walk that was ended from outside before any
// step failed returns the cause of that end.
func (w *walker) result(ctx context.Context) error {
	if len(w.errs) > 0 {
		return errors.Join(w.errs...)
	}
	if len(w.failed) > 0 {
		return context.Cause(ctx)
	}
	return nil
}

func limiters(limits map[string]int) map[string]chan struct{} {
	slots := map[string]chan struct{}{}
	for resource, n := range limits {
		slots[resource] = make(chan struct{}, max(n, 1))
	}
	return slots
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

// phases tells when the first step of a phase begins and the last one ends.
type phases struct {
	mu    sync.Mutex
	sink  event.Sink
	left  map[string]int
	since map[string]time.Time
}

func tally(steps []Step, sink event.Sink) *phases {
	p := &phases{sink: sink, left: map[string]int{}, since: map[string]time.Time{}}
	for _, s := range steps {
		p.left[s.Phase]++
	}
	return p
}

func (p *phases) begin(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since[name].IsZero() {
		p.since[name] = time.Now()
		p.sink.Emit(event.Event{Kind: event.PhaseStart, Phase: name})
	}
}

func (p *phases) end(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left[name]--; p.left[name] == 0 && !p.since[name].IsZero() {
		p.sink.Emit(event.Event{Kind: event.PhaseDone, Phase: name, Seconds: time.Since(p.since[name]).Seconds()})
	}
}
