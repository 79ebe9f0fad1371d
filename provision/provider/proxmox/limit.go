package proxmox

import (
	"context"
	"slices"
	"sync"
)

const (
	firstWindow = 8  // changes at once, of a node nothing is known of
	lastWindow  = 64 // and of one that bears everything
)

// A window bounds how many changes are under way in a place at once, by what
// the place bears: it grows with each success, twofold a round until the
// first time-out of a lock and by one a round after it, and is halved by such
// a time-out (additive increase, multiplicative decrease). It is safe for
// concurrent use; its zero value is ready.
type window struct {
	mu       sync.Mutex
	size     float64 // 0: not used yet
	tight    bool    // a lock has timed out before
	round    int     // of halvings: one for all changes of a round that fail together
	busy     int
	awaiting []chan int // in the order of coming; told the round
}

// enter waits for room and returns the round that leave is to be told.
func (w *window) enter(ctx context.Context) (round int, err error) {
	w.mu.Lock()
	if w.size == 0 {
		w.size = firstWindow
	}
	if w.busy < int(w.size) {
		w.busy++
		round = w.round
		w.mu.Unlock()
		return round, nil
	}
	turn := make(chan int, 1)
	w.awaiting = append(w.awaiting, turn)
	w.mu.Unlock()
	select {
	case round = <-turn:
		return round, nil
	case <-ctx.Done():
		w.forget(turn)
		return 0, context.Cause(ctx)
	}
}

// forget takes back a wish to enter, and room that was given meanwhile.
func (w *window) forget(turn chan int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.awaiting, turn); i >= 0 {
		w.awaiting = slices.Delete(w.awaiting, i, i+1)
		return
	}
	w.busy--
	w.admit()
}

// leave ends a change; late says that a lock was not got in time.
func (w *window) leave(round int, late bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	switch {
	case late && round == w.round:
		w.size, w.tight = max(1, w.size/2), true
		w.round++
	case late:
	case w.tight:
		w.size = min(lastWindow, w.size+1/w.size)
	default:
		w.size = min(lastWindow, w.size+1)
	}
	w.admit()
}

func (w *window) admit() {
	for w.busy < int(w.size) && len(w.awaiting) > 0 {
		w.awaiting[0] <- w.round
		w.awaiting = w.awaiting[1:]
		w.busy++
	}
}

// windows has one for each place, made when first asked for.
type windows struct {
	mu sync.Mutex
	of map[string]*window
}

func (ws *windows) at(place string) *window {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.of == nil {
		ws.of = make(map[string]*window)
	}
	if ws.of[place] == nil {
		ws.of[place] = new(window)
	}
	return ws.of[place]
}
