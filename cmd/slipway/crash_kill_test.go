//go:build rehearse

package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-project/slipway/provision"
)

// kills is how often a test kills, more when a seed is given, and what chooses
// the instants.
func kills(t *testing.T, short, nightly int) (int, *rand.Rand) {
	seed, full := crashSeed(t)
	t.Logf("seed %d", seed)
	if full {
		short = nightly
	}
	return short, rand.New(rand.NewPCG(seed, 1))
}

// Killed at random moments, with api-int answering in between, up ends Ready
// and has made nothing twice. With the state lost, down leaves nothing.
func TestRehearseSurvivesKill(t *testing.T) {
	w := openTestWorld(t, example)
	times, random := kills(t, 20, 100)
	served := false
	for range times {
		w.killedAfter(t, "up", example, time.Duration(random.IntN(2500))*time.Millisecond)
		answer := strings.TrimSpace(w.run(t, "dig", "@192.0.2.210", "+short", "+time=1", "+tries=2", "api-int.mycluster.lab.test"))
		if answer == "192.0.2.210" {
			served = true
		} else if served {
			t.Fatalf("api-int has stopped answering: %q", answer)
		}
	}
	var result provision.Result
	if err := json.Unmarshal([]byte(w.must(t, "up", "--yes", "-f", example, "-o", "json")), &result); err != nil {
		t.Fatal(err)
	}
	if len(result.Nodes) != 5 {
		t.Errorf("nodes %+v", result.Nodes)
	}
	w.noneTwice(t, 5)
	if err := os.RemoveAll(w.ready.Env["SLIPWAY_HOME"]); err != nil {
		t.Fatal(err)
	}
	w.goneAfterDown(t, example)
}

// Killed wherever it is, down again leaves nothing.
func TestRehearseDownSurvivesKill(t *testing.T) {
	w := openWorldAt(t, crashSpeed, example)
	times, random := kills(t, 10, 50)
	for range times {
		w.dies(t, "up", example, []string{"discover:after-intent"})
		for range 1 + random.IntN(3) {
			w.killedAfter(t, "down", example, time.Duration(30+random.IntN(300))*time.Millisecond)
		}
		w.goneAfterDown(t, example)
	}
}

// killedAfter runs a verb and kills it when so much time has passed. It reports
// whether it has: the verb may have ended before.
func (w *testWorld) killedAfter(t *testing.T, verb, spec string, after time.Duration) bool {
	t.Helper()
	cmd := w.slipway(t, verb, "--yes", "-f", spec, "--progress", "none")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Signal(syscall.SIGKILL) })
	defer timer.Stop()
	_ = cmd.Wait()
	return cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
}
