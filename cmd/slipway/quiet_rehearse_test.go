//go:build rehearse

package main

import (
	"testing"

	"github.com/slipway-project/slipway/rehearsal"
)

// quietCalls is how many calls an `up` of five nodes may make that has
// nothing to do.
const quietCalls = 25

// A whole up that has nothing to do asks the hypervisors little, and changes
// nothing.
func TestRehearseNothingToDo(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	if nodes := w.up(t, example); len(nodes) != 5 {
		t.Fatalf("%d nodes, want 5", len(nodes))
	}
	before := w.calls(t)
	w.must(t, "up", "--yes", "-f", example)
	made, total := map[string]int{}, 0
	for call, n := range w.calls(t) {
		if n -= before[call]; n > 0 {
			made[call] = n
			total += n
		}
	}
	t.Logf("%d calls: %v", total, made)
	if total == 0 || total > quietCalls {
		t.Errorf("up made %d calls with nothing to do, want 1 to %d: %v", total, quietCalls, made)
	}
	w.goneAfterDown(t, example)
}

// calls counts what all hypervisors were asked, by method and path template.
func (w *testWorld) calls(t *testing.T) map[string]int {
	t.Helper()
	all, err := rehearsal.NewControl(w.dir).Requests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, nodes := range all {
		for _, asked := range nodes {
			for call, n := range asked {
				counts[call] += n
			}
		}
	}
	return counts
}
