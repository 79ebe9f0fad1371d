package proxmox

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A place that bears everything gets ever more to do; one whose locks time
// out gets half, once for all that failed together, and never nothing.
func TestWindow(t *testing.T) {
	var w window
	enter := func(n int) (rounds []int) {
		for range n {
			round, err := w.enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			rounds = append(rounds, round)
		}
		return rounds
	}
	leave := func(rounds []int, late bool, want int) {
		t.Helper()
		for _, round := range rounds {
			w.leave(round, late)
		}
		if int(w.size) != want {
			t.Errorf("the window is %v wide, want %d", w.size, want)
		}
	}
	leave(enter(firstWindow), false, 2*firstWindow)
	leave(enter(16), true, 8)
	leave(enter(8), false, 8)
	leave(enter(2), false, 9)
	for size := 4; size > 0; size /= 2 {
		leave(enter(1), true, size)
	}
	leave(enter(1), true, 1)
}

// Who waits gets in, in order, or leaves with its context.
func TestWindowQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window{size: 1, tight: true}
		first, _ := w.enter(t.Context())
		ctx, cancel := context.WithCancelCause(t.Context())
		stopped := errors.New("stopped")
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := w.enter(ctx); !errors.Is(err, stopped) {
				t.Errorf("error is %v", err)
			}
		})
		synctest.Wait()
		var got time.Time
		group.Go(func() {
			round, err := w.enter(t.Context())
			if err != nil {
				t.Error(err)
			}
			got = time.Now()
			w.leave(round, false)
		})
		synctest.Wait()
		cancel(stopped)
		synctest.Wait()
		time.AfterFunc(time.Second, func() { w.leave(first, false) })
		begin := time.Now()
		group.Wait()
		if got.Sub(begin) != time.Second || w.busy != 0 || len(w.awaiting) != 0 {
			t.Errorf("in after %s; %d busy, %d waiting", got.Sub(begin), w.busy, len(w.awaiting))
		}
	})
}

// However many ask at once, one request answers them; nobody gets an answer
// that is older than the question.
func TestSharedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := shared[int]{fetch: func(ctx context.Context) (int, error) {
			calls++
			n := calls
			select {
			case <-time.After(time.Second):
				return n, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}}
		var group sync.WaitGroup
		ask := func(want int) {
			group.Go(func() {
				if got, err := s.get(t.Context()); got != want || err != nil {
					t.Errorf("got %d, %v; want %d", got, err, want)
				}
			})
		}
		for range 50 {
			ask(1)
		}
		<-time.After(gathering + time.Millisecond)
		for range 50 {
			ask(2)
		}
		group.Wait()
		if calls != 2 {
			t.Errorf("%d calls, want 2", calls)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		if _, err := s.get(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
		if got, err := s.get(t.Context()); got != 4 || err != nil {
			t.Errorf("after one was given up: %d, %v", got, err)
		}
	})
}
