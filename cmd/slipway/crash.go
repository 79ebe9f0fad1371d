package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/slipway-project/slipway/provision/phase"
)

// crashHook kills the process with SIGKILL at whichever of the crash points,
// "STEP:POINT,STEP:POINT", it meets first, and says which. It is how the tests
// prove that a run survives being killed there.
func crashHook(points string) func(string, phase.Point) {
	if points == "" {
		return nil
	}
	at := strings.Split(points, ",")
	var first sync.Mutex
	return func(step string, p phase.Point) {
		if met := step + ":" + string(p); slices.Contains(at, met) {
			first.Lock() // for good
			fmt.Fprintln(os.Stderr, crashed+met)
			kill()
		}
	}
}

// crashed begins the last line of a process that kills itself.
const crashed = "slipway: SIGKILL at "

func kill() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		_ = self.Kill()
	}
	select {} // until the signal arrives
}
