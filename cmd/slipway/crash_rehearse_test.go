//go:build rehearse

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// crashSpeed leaves of an installation what does not scale: seconds in which
// real programs start and check each other.
const crashSpeed = 400

// crashExamples are one of each topology; without a seed it is the first.
var crashExamples = []string{"proxmox-ha", "compact", "sno", "dhcp", "three-hypervisors"}

// crashWorlds is how many worlds a matrix of crashes uses side by side.
const crashWorlds = 2

// Killed at a point of every step and at every kind of point, up ends Ready
// and down leaves nothing. With CRASH_SEED it is every point of every step of
// the example that the seed chooses.
func TestRehearseCrashPoints(t *testing.T) {
	seed, full := crashSeed(t)
	spec := exampleOf(crashExamples[seed%uint64(len(crashExamples))])
	began := time.Now()
	m := recordMatrix(t, spec, seed)
	if full {
		m.wantAll()
	} else {
		m.wantSample()
	}
	known := m.count()
	t.Run("again", func(t *testing.T) {
		for range crashWorlds {
			t.Run("world", func(t *testing.T) {
				t.Parallel()
				m.liveOn(t, openWorldAt(t, crashSpeed, spec))
			})
		}
	})
	m.checkMet(t)
	t.Logf("%s, seed %d: %d points met (%d belong to no task) by %d kills in %d clusters, %d kills before down, %.0f s",
		filepath.Base(filepath.Dir(spec)), seed, known-m.count(), m.count(), m.kills, m.lives, m.gone, time.Since(began).Seconds())
}

// crashSeed is CRASH_SEED, and whether it was given.
func crashSeed(t *testing.T) (uint64, bool) {
	t.Helper()
	text, given := os.LookupEnv("CRASH_SEED")
	if !given {
		return 0, false
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal("CRASH_SEED: ", err)
	}
	return seed, true
}

// dies runs a verb that kills itself at the first of the crash points that it
// meets, and returns which; "" means that it met none and has succeeded.
func (w *testWorld) dies(t *testing.T, verb, spec string, at []string) (met string) {
	t.Helper()
	cmd := w.slipway(t, verb, "--yes", "-f", spec, "--progress", "none")
	cmd.Env = append(cmd.Env, "SLIPWAY_CRASH="+strings.Join(at, ","))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	_, met, _ = strings.Cut(stderr.String(), crashed)
	met = strings.TrimSpace(met)
	switch {
	case err == nil:
		return ""
	case met != "" && errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return met
	}
	t.Fatalf("%s, to be killed at one of %q: %v\n%s", verb, at, err, stderr.String())
	return ""
}
