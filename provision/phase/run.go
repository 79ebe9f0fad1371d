package phase

import (
	"context"
	"fmt"
	"time"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/state"
)

// do carries one step out: Done? else intent, Do with retries, done.
func (g *Graph) do(ctx context.Context, s Step) error {
	began := time.Now()
	ctx, stop := g.within(ctx, s)
	defer stop()
	already := false
	err := g.try(ctx, s, func(ctx context.Context) (err error) {
		already, err = done(ctx, s)
		return err
	})
	if err != nil {
		return g.end(s, began, fmt.Errorf("look whether it is so already: %w", err))
	}
	if already {
		g.tell(event.Event{Kind: event.StepSkip}, s)
		return nil
	}
	g.tell(event.Event{Kind: event.StepStart}, s)
	g.Journal.Describe(s.Name)
	return g.end(s, began, g.journaled(ctx, s))
}

// journaled does s between its records.
func (g *Graph) journaled(ctx context.Context, s Step) error {
	g.crash(s, BeforeIntent)
	if err := g.record(s, state.Intent, ""); err != nil {
		return err
	}
	g.crash(s, AfterIntent)
	if err := g.try(g.recording(ctx, s), s, s.Do); err != nil {
		return err
	}
	g.crash(s, BeforeDone)
	if err := g.record(s, state.Done, ""); err != nil {
		return err
	}
	g.crash(s, AfterDone)
	return nil
}

// undo takes one step back; it looks and records the same way.
func (g *Graph) undo(ctx context.Context, s Step) error {
	if s.Undo == nil {
		return nil
	}
	began := time.Now()
	ctx, stop := g.within(ctx, s)
	defer stop()
	g.tell(event.Event{Kind: event.StepStart}, s)
	g.Journal.Describe("undo " + s.Name)
	g.crash(s, BeforeIntent)
	err := g.record(s, state.Intent, "")
	if err == nil {
		g.crash(s, AfterIntent)
		err = g.try(g.recording(ctx, s), s, s.Undo)
	}
	if err == nil {
		g.crash(s, BeforeDone)
		err = g.record(s, state.Undone, "")
		g.crash(s, AfterDone)
	}
	return g.end(s, began, err)
}

func done(ctx context.Context, s Step) (bool, error) {
	if s.Done == nil {
		return false, nil
	}
	return s.Done(ctx)
}

// recording gives Do a context that journals the handles of remote tasks.
func (g *Graph) recording(ctx context.Context, s Step) context.Context {
	return provider.WithRecorder(ctx, func(handle string) error {
		g.crash(s, BeforeHandle)
		if err := g.record(s, state.Handle, handle); err != nil {
			return err
		}
		g.crash(s, AfterHandle)
		return nil
	})
}

func (g *Graph) record(s Step, kind state.Kind, handle string) error {
	return g.Journal.Append(state.Record{Kind: kind, Step: s.Name, Node: s.Node, Handle: handle})
}

func (g *Graph) end(s Step, began time.Time, err error) error {
	seconds := time.Since(began).Seconds()
	if err == nil {
		g.tell(event.Event{Kind: event.StepDone, Seconds: seconds}, s)
		return nil
	}
	g.tell(event.Event{Kind: event.StepFailed, Seconds: seconds, Error: err.Error()}, s)
	// That it failed is for people; a journal that cannot take it any more has
	// already said why.
	_ = g.Journal.Append(state.Record{Kind: state.Failed, Step: s.Name, Node: s.Node, Error: err.Error()})
	return err
}

func (g *Graph) tell(e event.Event, s Step) {
	e.Phase, e.Step, e.Node = s.Phase, s.Name, s.Node
	g.Sink.Emit(e)
}

func (g *Graph) crash(s Step, at Point) {
	if g.Crash != nil {
		g.Crash(s.Name, at)
	}
}
