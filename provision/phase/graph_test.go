package phase

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/state"
)

func TestStepsRunSideBySideAfterWhatTheyNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(
			Step{Name: "iso", Phase: "media", Do: take(3 * time.Second)},
			Step{Name: "vm", Phase: "machines", Do: take(2 * time.Second)},
			Step{Name: "boot", Phase: "boot", Needs: []string{"iso", "vm"}, Do: take(time.Second)},
		)
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began).Round(time.Millisecond); took != 4*time.Second {
			t.Errorf("took %v, want 4s: the longest chain", took)
		}
		want := []string{"phase.start media", "phase.start machines", "phase.done machines", "phase.done media", "phase.start boot", "phase.done boot"}
		got := r.events(event.PhaseStart, event.PhaseDone)
		slices.Sort(got[:2]) // the two begin in the same instant
		slices.Sort(want[:2])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("phases (-want +got):\n%s", diff)
		}
	})
}

func TestStepThatIsAlreadySoIsSkippedWithoutARecord(t *testing.T) {
	r := newRig(Step{Name: "vm", Done: func(context.Context) (bool, error) { return true, nil },
		Do: func(context.Context) error { t.Error("done again"); return nil }})
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(r.journal.records) != 0 {
		t.Errorf("records: %v", r.journal.records)
	}
}

func TestRecordsAndCrashPointsAreInOrder(t *testing.T) {
	var story []string
	r := newRig(Step{Name: "vm", Do: func(ctx context.Context) error {
		story = append(story, "create")
		err := provider.Record(ctx, "UPID:1")
		story = append(story, "wait")
		return err
	}})
	r.journal.on = func(rec state.Record) { story = append(story, "record "+string(rec.Kind)) }
	r.Crash = func(_ string, at Point) { story = append(story, "point "+string(at)) }
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"point before-intent", "record intent", "point after-intent", "create",
		"point before-handle", "record handle", "point after-handle", "wait",
		"point before-done", "record done", "point after-done"}
	if diff := cmp.Diff(want, story); diff != "" {
		t.Errorf("story (-want +got):\n%s", diff)
	}
}

func TestTransientErrorsAreRetriedUntilTheBudgetEnds(t *testing.T) {
	tests := []struct {
		name        string
		fails       int
		err         error
		least, most int // tries
		want        string
	}{
		{"a passing fault is survived", 2, said{"lock", true}, 3, 3, ""},
		{"a lasting fault ends with the budget and the last error", 1000, said{"lock", true}, 6, 9, "vm: no time is left for this step after 1m0s; last: lock"},
		{"any other error ends the step at once", 1000, errors.New("forbidden"), 1, 1, "vm: forbidden"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				r := newRig(Step{Name: "vm", Budget: time.Minute, Do: func(context.Context) error {
					if tries++; tries > test.fails {
						return nil
					}
					return test.err
				}})
				if got := text(r.Run(t.Context())); got != test.want {
					t.Errorf("error %q, want %q", got, test.want)
				}
				if tries < test.least || tries > test.most {
					t.Errorf("%d tries, want %d to %d", tries, test.least, test.most)
				}
			})
		})
	}
}

func TestFailureStopsTheRestAndIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(
			Step{Name: "bad", Do: func(context.Context) error { return errors.New("no space") }},
			Step{Name: "slow", Do: take(time.Hour)},
			Step{Name: "after", Needs: []string{"bad"}, Do: func(context.Context) error { t.Error("began"); return nil }},
		)
		began := time.Now()
		if got := text(r.Run(t.Context())); got != "bad: no space" {
			t.Errorf("error %q", got)
		}
		if time.Since(began) > time.Millisecond {
			t.Error("the slow step was waited for")
		}
	})
}

func TestInterruptEndsWithItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		interrupted := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		r := newRig(Step{Name: "slow", Do: take(time.Hour)}, Step{Name: "next", Needs: []string{"slow"}, Do: take(0)})
		time.AfterFunc(time.Second, func() { cancel(interrupted) })
		if err := r.Run(ctx); !errors.Is(err, interrupted) {
			t.Errorf("error %v", err)
		}
	})
}

func TestLimitsBoundWhatRunsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var steps []Step
		for i := range 10 {
			steps = append(steps, Step{Name: fmt.Sprint("vm", i), Resource: "api", Do: take(time.Second)})
		}
		r := newRig(steps...)
		r.Limits = map[string]int{"api": 3}
		began := time.Now()
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began).Round(time.Millisecond); took != 4*time.Second {
			t.Errorf("took %v, want 4s", took)
		}
	})
}

func TestUndoWalksBackAndGoesOnAroundAFailure(t *testing.T) {
	var mu sync.Mutex
	var undone []string
	undo := func(name string, err error) func(context.Context) error {
		return func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			undone = append(undone, name)
			return err
		}
	}
	r := newRig(
		Step{Name: "key"},
		Step{Name: "iso", Needs: []string{"key"}, Undo: undo("iso", nil)},
		Step{Name: "vm", Needs: []string{"iso"}, Undo: undo("vm", errors.New("locked"))},
		Step{Name: "register", Undo: undo("register", nil)},
		Step{Name: "install", Needs: []string{"register"}, Undo: undo("install", nil)},
	)
	if got := text(r.Undo(t.Context())); got != "vm: locked" {
		t.Errorf("error %q", got)
	}
	if slices.Contains(undone, "iso") {
		t.Error("the image of a machine that still exists was dropped")
	}
	if slices.Index(undone, "install") > slices.Index(undone, "register") {
		t.Errorf("undone in order %v", undone)
	}
}

func TestImpossibleGraphsAreRefused(t *testing.T) {
	for want, steps := range map[string][]Step{
		`step "a" is listed twice`:                             {{Name: "a"}, {Name: "a"}},
		`step "a" needs "b", which is not listed before it`:    {{Name: "a", Needs: []string{"b"}}, {Name: "b"}},
		`step "a" needs "gone", which is not listed before it`: {{Name: "a", Needs: []string{"gone"}}},
	} {
		if got := text(newRig(steps...).Run(t.Context())); got != want {
			t.Errorf("error %q, want %q", got, want)
		}
	}
}

// said is an error that says itself whether it may pass.
type said struct {
	text      string
	transient bool
}

func (e said) Error() string   { return e.text }
func (e said) Transient() bool { return e.transient }

// take is a step that needs a while and can be cancelled.
func take(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

type rig struct {
	Graph
	journal *memory
	mu      sync.Mutex
	seen    []event.Event
}

func newRig(steps ...Step) *rig {
	r := &rig{journal: &memory{}}
	r.Graph = Graph{Steps: steps, Journal: r.journal, Sink: event.Func(r.see)}
	return r
}

func (r *rig) see(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, e)
}

func (r *rig) events(kinds ...event.Kind) (lines []string) {
	for _, e := range r.seen {
		if slices.Contains(kinds, e.Kind) {
			lines = append(lines, strings.TrimSpace(string(e.Kind)+" "+e.Phase))
		}
	}
	return lines
}

// memory is a journal without a disk.
type memory struct {
	mu      sync.Mutex
	records []state.Record
	on      func(state.Record)
}

func (m *memory) Append(r state.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = append(m.records, r)
	if m.on != nil {
		m.on(r)
	}
	return nil
}

func (m *memory) Document() (d state.Document) { return d }
func (m *memory) Describe(string)              {}
func (m *memory) Remove() error                { return nil }
func (m *memory) Close() error                 { return nil }
