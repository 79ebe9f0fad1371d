package phase

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/slipway-project/slipway/provision/event"
)

// A Class says how an error of a step is met.
type Class int

// The classes. Every step is safe to repeat, so that what decides is only
// whether repeating can help.
const (
	Never   Class = iota // the answer would be the same: the step fails
	Backoff              // it may pass: again after a pause, each longer than the last
	AtOnce               // it has passed: a connection that broke is made anew
)

// Classify says how err is met. What an error says of itself by a method
// Transient() bool counts most: it knows the words of its API. Then come the
// errors of the network itself. Everything else is for good.
func Classify(err error) Class {
	var own interface{ Transient() bool }
	said := errors.As(err, &own)
	switch {
	case errors.Is(err, context.Canceled), said && !own.Transient():
		return Never
	case broke(err):
		return AtOnce
	case said, passing(err):
		return Backoff
	}
	return Never
}

// Final returns err as one that is not worth another try, whatever it wraps.
func Final(err error) error { return &final{err} }

type final struct{ error }

func (f *final) Unwrap() error   { return f.error }
func (f *final) Transient() bool { return false }

// broke reports the end of a connection in the midst of a call, which servers
// that restart or close an idle connection cause.
func broke(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// passing reports errors of the network that may go away: silence, a host or
// a service that is not up yet. A name that does not exist is for good.
func passing(err error) bool {
	var name *net.DNSError
	if errors.As(err, &name) {
		return name.IsTimeout || name.IsTemporary
	}
	for _, code := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ECONNABORTED} {
		if errors.Is(err, code) {
			return true
		}
	}
	var slow net.Error
	return errors.As(err, &slow) && slow.Timeout()
}

const (
	firstPause   = 2 * time.Second // before the first retry, in real time
	longestPause = 30 * time.Second
)

// try calls f until it succeeds, fails for good, or time is up.
func (g *Graph) try(ctx context.Context, s Step, f func(context.Context) error) error {
	last, pauses := Never, 0
	var before error
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		class := Classify(err)
		if ctx.Err() != nil || class == Never {
			return cause(ctx, err, before)
		}
		before = err
		g.tell(event.Event{Kind: event.StepRetry, Error: err.Error()}, s)
		// What broke twice in a row has not passed after all.
		if class == AtOnce && last != AtOnce {
			last = class
			continue
		}
		last = class
		if g.Pace.Wait(ctx, g.pause(s, pauses)) != nil {
			return cause(ctx, nil, err)
		}
		pauses++
	}
}

// pause is how long to wait before the nth retry of s: doubled each time, of
// which the second half is spread by the seed and the step's name.
func (g *Graph) pause(s Step, n int) time.Duration {
	whole := min(firstPause<<min(n, 8), longestPause)
	h := fnv.New64a()
	fmt.Fprint(h, g.Seed, s.Name, n)
	return whole/2 + time.Duration(h.Sum64()%1000)*whole/2000
}

// cause puts why ctx ended before what was wrong then: err, or the error of the
// try before, when err only says that there was no more time.
func cause(ctx context.Context, err, before error) error {
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
		return err
	case err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		err = before
	}
	switch {
	case err == nil:
		err = cause
	case !errors.Is(err, cause):
		err = fmt.Errorf("%w; last: %w", cause, err)
	}
	return progressing(ctx, err)
}
