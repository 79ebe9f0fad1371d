package proxmox

import (
	"context"
	"sync"
	"time"
)

// gathering is how long a list is not asked for yet, so that everybody who
// needs it at the same time is served by one call.
const gathering = 5 * time.Millisecond

// A shared call answers all who ask before it is sent with one answer. Whoever
// asks while it is under way waits for the next: no answer is older than its
// question. It is safe for concurrent use; the answer must not be changed.
type shared[T any] struct {
	fetch func(context.Context) (T, error)

	mu   sync.Mutex
	next *flight[T]    // not sent yet
	last chan struct{} // closed when what was sent before has been answered
}

type flight[T any] struct {
	landed chan struct{}
	cancel context.CancelFunc
	asking int // those who still wait
	value  T
	err    error
}

// get returns an answer that was asked for after the call of get.
func (s *shared[T]) get(ctx context.Context) (none T, err error) {
	f := s.join(ctx)
	select {
	case <-f.landed:
		return f.value, f.err
	case <-ctx.Done():
		s.leave(f)
		return none, context.Cause(ctx)
	}
}

func (s *shared[T]) join(ctx context.Context) *flight[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil || s.next.asking == 0 {
		flown, cancel := context.WithCancel(context.WithoutCancel(ctx))
		s.next = &flight[T]{landed: make(chan struct{}), cancel: cancel}
		go s.fly(flown, s.next, s.last)
		s.last = s.next.landed
	}
	s.next.asking++
	return s.next
}

// leave ends a call that nobody waits for any more.
func (s *shared[T]) leave(f *flight[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.asking--; f.asking == 0 {
		f.cancel()
	}
}

func (s *shared[T]) fly(ctx context.Context, f *flight[T], before <-chan struct{}) {
	defer close(f.landed)
	defer f.cancel()
	if before != nil {
		<-before
	}
	timer := time.NewTimer(gathering)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	s.mu.Lock()
	if s.next == f {
		s.next = nil
	}
	s.mu.Unlock()
	f.value, f.err = s.fetch(ctx)
}
