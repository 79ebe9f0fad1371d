package phase

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/slipway-project/slipway/provision/event"
)

// walk runs act for each step once the steps it waits for have ended well;
// order lists every step behind those it waits for. One goroutine decides and
// the steps' own only act, so that what begins when depends on when steps end
// and on nothing else.
func (g *Graph) walk(ctx context.Context, order []Step, waits map[string][]string, act func(context.Context, Step) error, failFast bool) error {
	if err := check(g.Steps); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := newWalk(g, order, waits)
	for {
		w.begin(ctx, act)
		if w.running == 0 {
			return w.result(ctx)
		}
		for _, e := range w.next() {
			if err := w.settle(ctx, e); err != nil && failFast {
				cancel(err)
			}
		}
	}
}

// A fate is where a walk stands with one step.
type fate int

const (
	waiting fate = iota
	acting
	well   // it has ended well
	failed // or was never begun because something it waits for failed
)

type walk struct {
	order   []Step
	waits   map[string][]string
	phases  *phases
	limits  map[string]int
	busy    map[string]int // by resource
	fates   map[string]fate
	ended   chan ending
	running int
	errs    []error
}

// An ending is what came of the step at an index of the order.
type ending struct {
	at  int
	err error
}

func newWalk(g *Graph, order []Step, waits map[string][]string) *walk {
	return &walk{order: order, waits: waits, phases: tally(g.Steps, g.Sink), limits: g.Limits,
		busy: map[string]int{}, fates: map[string]fate{}, ended: make(chan ending, len(order))}
}

// begin starts every step that may start, and gives up those that never may.
func (w *walk) begin(ctx context.Context, act func(context.Context, Step) error) {
	for i, s := range w.order {
		switch {
		case w.fates[s.Name] != waiting:
		case ctx.Err() != nil || w.any(s, failed):
			w.fates[s.Name] = failed
			w.phases.end(s.Phase)
		case !w.any(s, waiting) && !w.any(s, acting) && w.free(s.Resource):
			w.fates[s.Name] = acting
			w.busy[s.Resource]++
			w.running++
			w.phases.begin(s.Phase)
			go func() { w.ended <- ending{i, act(ctx, s)} }()
		}
	}
}

func (w *walk) any(s Step, f fate) bool {
	return slices.ContainsFunc(w.waits[s.Name], func(name string) bool { return w.fates[name] == f })
}

func (w *walk) free(resource string) bool {
	limit, limited := w.limits[resource]
	return !limited || w.busy[resource] < max(limit, 1)
}

// next waits until steps have ended and returns them in order. Those that end
// in the same instant are met together: which of them was noticed first must
// not decide who gets a free place.
func (w *walk) next() []ending {
	batch := []ending{<-w.ended}
	<-time.After(time.Nanosecond)
	for len(w.ended) > 0 {
		batch = append(batch, <-w.ended)
	}
	slices.SortFunc(batch, func(a, b ending) int { return a.at - b.at })
	return batch
}

// settle notes how a step has ended, and returns an error only for a failure
// of its own: not for one by which the walk was cancelled. When the time of
// the whole run has ended, each step says what it was waiting for.
func (w *walk) settle(ctx context.Context, e ending) error {
	s := w.order[e.at]
	w.running--
	w.busy[s.Resource]--
	w.phases.end(s.Phase)
	w.fates[s.Name] = well
	if e.err == nil {
		return nil
	}
	w.fates[s.Name] = failed
	if cause := context.Cause(ctx); ctx.Err() != nil && errors.Is(e.err, cause) && !errors.Is(cause, ErrTimeout) {
		return nil
	}
	err := &Error{s.Name, s.Phase, s.Node, e.err}
	w.errs = append(w.errs, err)
	return err
}

// result joins the failures. A walk that was ended from outside before any
// step failed returns the cause of that end.
func (w *walk) result(ctx context.Context) error {
	if len(w.errs) > 0 {
		return errors.Join(w.errs...)
	}
	for _, f := range w.fates {
		if f == failed {
			return context.Cause(ctx)
		}
	}
	return nil
}

// phases tells when the first step of a phase begins and the last one ends.
type phases struct {
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
	if p.since[name].IsZero() {
		p.since[name] = time.Now()
		p.sink.Emit(event.Event{Kind: event.PhaseStart, Phase: name})
	}
}

func (p *phases) end(name string) {
	if p.left[name]--; p.left[name] == 0 && !p.since[name].IsZero() {
		p.sink.Emit(event.Event{Kind: event.PhaseDone, Phase: name, Seconds: time.Since(p.since[name]).Seconds()})
	}
}
