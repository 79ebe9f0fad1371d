package phase

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"testing"
	"testing/synctest"
	"time"
)

var quiet = log.New(io.Discard, "", 0)

// moving is work that reports progress every so often, so many times, and
// then stands still.
func moving(every time.Duration, times int) func(context.Context) error {
	return func(ctx context.Context) error {
		for range times {
			if err := take(every)(ctx); err != nil {
				return err
			}
			Progress(ctx)
		}
		return take(100 * time.Hour)(ctx)
	}
}

func TestBudgetsExtendWhileThereIsProgress(t *testing.T) {
	tests := []struct {
		name        string
		do          func(context.Context) error
		budget      time.Duration
		timeout     time.Duration
		after       time.Duration
		want        string
		progressing bool
	}{
		{"without any progress the budget ends it", moving(0, 0), 30 * time.Minute, 0,
			30 * time.Minute, "no time is left for this step: it has not moved for 30m0s", false},
		{"progress begins the budget anew", moving(20*time.Minute, 3), 30 * time.Minute, 0,
			90 * time.Minute, "no time is left for this step: it has not moved for 30m0s", false},
		{"the ceiling ends what moves for ever", moving(10*time.Minute, 1000), 30 * time.Minute, 0,
			4*time.Hour + 5*time.Minute, "no time is left for this step after 4h5m0s, and it was still progressing", true},
		{"at the ceiling nothing has moved for a while", moving(80*time.Minute, 3), 90 * time.Minute, 0,
			4*time.Hour + 5*time.Minute, "no time is left for this step after 4h5m0s, and it was still progressing", true},
		{"at the ceiling nothing has moved for long", moving(75*time.Minute, 3), 90 * time.Minute, 0,
			4*time.Hour + 5*time.Minute, "no time is left for this step after 4h5m0s", false},
		{"the time of the run ends what moves", moving(10*time.Minute, 1000), 30 * time.Minute, time.Hour + time.Second,
			time.Hour + time.Second, "the time given has passed: 1h (it was still progressing)", true},
		{"the time of the run ends what stands still", moving(time.Minute, 1), 90 * time.Minute, time.Hour,
			time.Hour, "the time given has passed: 1h", false},
		{"work that ends in time", take(time.Hour), 90 * time.Minute, 2 * time.Hour, time.Hour, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if test.timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeoutCause(ctx, test.timeout, fmt.Errorf("%w: 1h", ErrTimeout))
					defer cancel()
				}
				began := time.Now()
				r := newRig(Step{Name: "install", Budget: test.budget, Ceiling: 4*time.Hour + 5*time.Minute, Do: test.do})
				err := r.Run(ctx)
				want := test.want
				if want != "" {
					want = "install: " + want
				}
				if got := text(err); got != want {
					t.Errorf("error %q, want %q", got, want)
				}
				if took := time.Since(began).Truncate(time.Second); took != test.after {
					t.Errorf("ended after %v, want %v", took, test.after)
				}
				if errors.Is(err, ErrProgressing) != test.progressing {
					t.Errorf("progressing: %v", !test.progressing)
				}
			})
		})
	}
}

// When the time of the run ends, every step under way says what it waited
// for; those that were not begun say nothing.
func TestTimeOfTheRunNamesAllThatWasUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, ErrTimeout)
		defer cancel()
		r := newRig(
			Step{Name: "a", Budget: time.Hour, Do: take(time.Hour)},
			Step{Name: "b", Budget: time.Hour, Do: take(time.Hour)},
			Step{Name: "c", Needs: []string{"a"}, Do: take(0)},
		)
		want := "a: the time given has passed (it was still progressing)\nb: the time given has passed (it was still progressing)"
		if got := text(r.Run(ctx)); got != want {
			t.Errorf("error %q, want %q", got, want)
		}
	})
}

func TestProgressOutsideOfAStepDoesNothing(t *testing.T) { Progress(t.Context()) }
