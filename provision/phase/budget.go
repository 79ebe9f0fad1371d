package phase

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// defaultBudget is that of a step which names none.
const defaultBudget = 5 * time.Minute

// recently is how long ago a step may have moved last and still count as
// progressing, in real time.
const recently = 15 * time.Minute

var (
	// ErrBudget is the cause of a step's end by time.
	ErrBudget = errors.New("no time is left for this step")
	// ErrTimeout is the cause of a run's end by a time that its user set:
	// give it to [context.WithTimeoutCause], wrapped.
	ErrTimeout = errors.New("the time given has passed")
	// ErrProgressing says of an end by time that the step still moved.
	ErrProgressing = errors.New("it was still progressing")
)

// Progress says that the step of ctx has moved on: its budget begins anew.
// Outside of a step it does nothing.
func Progress(ctx context.Context) {
	if w, ok := ctx.Value(watchdogKey{}).(*watchdog); ok {
		w.feed()
	}
}

type watchdogKey struct{}

// A watchdog ends a step that has not moved for its budget, or that has
// reached its ceiling.
type watchdog struct {
	budget, recently time.Duration

	mu    sync.Mutex
	moved time.Time
	timer *time.Timer
}

// within returns the context of one step.
func (g *Graph) within(ctx context.Context, s Step) (context.Context, context.CancelFunc) {
	budget := s.Budget
	if budget == 0 {
		budget = defaultBudget
	}
	ceiling := g.Pace.Budget(max(s.Ceiling, budget))
	w := &watchdog{budget: g.Pace.Budget(budget), recently: g.Pace.Budget(recently), moved: time.Now()}
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, watchdogKey{}, w))
	w.timer = time.AfterFunc(w.budget, func() { cancel(w.stalled(ceiling)) })
	end := time.AfterFunc(ceiling, func() { cancel(w.overdue(ceiling)) })
	return ctx, func() {
		w.timer.Stop()
		end.Stop()
		cancel(nil)
	}
}

func (w *watchdog) feed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved = time.Now()
	w.timer.Reset(w.budget)
}

// progressing reports whether the step has begun or moved recently.
func (w *watchdog) progressing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.moved) <= w.recently
}

// stalled is the cause of an end by the budget.
func (w *watchdog) stalled(ceiling time.Duration) error {
	if w.budget == ceiling {
		return fmt.Errorf("%w after %s", ErrBudget, seconds(w.budget))
	}
	return fmt.Errorf("%w: it has not moved for %s", ErrBudget, seconds(w.budget))
}

// overdue is the cause of an end by the ceiling.
func (w *watchdog) overdue(ceiling time.Duration) error {
	if w.budget == ceiling || !w.progressing() {
		return fmt.Errorf("%w after %s", ErrBudget, seconds(ceiling))
	}
	return fmt.Errorf("%w after %s, and %w", ErrBudget, seconds(ceiling), ErrProgressing)
}

func seconds(d time.Duration) time.Duration { return d.Round(time.Second) }

// progressing adds to the end of a step by the time of the whole run whether
// the step still moved.
func progressing(ctx context.Context, err error) error {
	w, ok := ctx.Value(watchdogKey{}).(*watchdog)
	if ok && errors.Is(context.Cause(ctx), ErrTimeout) && w.progressing() {
		return fmt.Errorf("%w (%w)", err, ErrProgressing)
	}
	return err
}
