// Package pace holds the one knob by which a run is made faster than real
// time: production polls, settle times and budgets all come from a [Pace].
//
// A real run uses the zero value. A rehearsal, whose simulated datacentre
// boots and installs N times faster than hardware, hands the same N to
// slipway. Clocks are never scaled: timestamps, certificates and time-outs of
// other programs (haproxy) keep wall time.
package pace

import (
	"context"
	"time"
)

const (
	minPoll   = 20 * time.Millisecond
	minBudget = 45 * time.Second
)

// Pace scales durations; the zero value and Pace(1) mean real time.
// It is a plain value, safe for concurrent use.
type Pace float64

// Scale returns d divided by the pace, without a floor. Simulators use it.
func (p Pace) Scale(d time.Duration) time.Duration {
	if p <= 1 {
		return d
	}
	return time.Duration(float64(d) / float64(p))
}

// Poll returns the interval at which to look again for something that is
// looked for every d in real time; never less than 20 ms.
func (p Pace) Poll(d time.Duration) time.Duration { return max(min(d, minPoll), p.Scale(d)) }

// Budget returns how long something may take that may take d in real time;
// never less than the smaller of d and 45 s, for processes, disks and TLS
// do not get faster in a rehearsal.
func (p Pace) Budget(d time.Duration) time.Duration { return max(min(d, minBudget), p.Scale(d)) }

// Sleep waits for the scaled d, or returns the cause of ctx's end.
func (p Pace) Sleep(ctx context.Context, d time.Duration) error {
	return wait(ctx, p.Scale(d))
}

// Wait waits for one poll interval of d, or returns the cause of ctx's end.
func (p Pace) Wait(ctx context.Context, d time.Duration) error {
	return wait(ctx, p.Poll(d))
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
