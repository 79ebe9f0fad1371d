//go:build rehearse && nightly

package main

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// Of up in a private network that many runs are killed, each at a moment of its
// first seconds; together they take as long as an undisturbed one.
const (
	privateKills  = 10
	privateMoment = 8 * time.Second
)

// Killed ten times at random moments, and each time begun again, up ends Ready
// with machines that nobody has disturbed, and down leaves nothing. CRASH_SEED
// chooses the moments.
func TestRehearsePrivateNetworkSurvivesKill(t *testing.T) {
	needMachines(t)
	seed, given := crashSeed(t)
	if !given {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("CRASH_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	for killed := 0; killed < privateKills; {
		killed += killedInPrivate(t, random, privateKills-killed)
	}
}

// killedInPrivate is one life of a cluster, in which up is killed at most so
// many times. It returns how often that was: a run that ends before is killed
// no more.
func killedInPrivate(t *testing.T, random *rand.Rand, most int) (killed int) {
	t.Helper()
	w := startWorld(t, "rehearse", "world", "--machines", "qemu", "-f", laptopSpec)
	before, began := w.links(t), time.Now()
	for killed < most && w.killedAfter(t, "up", laptopSpec, time.Duration(random.Int64N(int64(privateMoment)))) {
		killed++
		t.Logf("killed %d times after %.1f s", killed, time.Since(began).Seconds())
	}
	w.up(t, laptopSpec)
	t.Logf("Ready after %.0f s", time.Since(began).Seconds())
	w.guestsAgree(t)
	w.must(t, "down", "--yes", "-f", laptopSpec)
	w.nothingLeft(t, before)
	return killed
}

// A machine that hangs while up waits for it is power-cycled once, up says so,
// and the cluster becomes Ready.
func TestRehearsePrivateNetworkTellsWhoHangs(t *testing.T) {
	needMachines(t)
	w := startWorld(t, "rehearse", "world", "--machines", "qemu", "-f", laptopSpec)
	before := w.links(t)
	up := w.begin(t, "boot       worker-0 ", "up", "--yes", "-f", laptopSpec, "--progress", "plain")
	const hung = "worker-0.mycluster.lab.test"
	w.signal(t, hung, syscall.SIGSTOP)
	up.tells(t, "machine "+hung+": it hung at ")
	up.end(t)
	w.guestsAgree(t)
	w.must(t, "down", "--yes", "-f", laptopSpec)
	w.nothingLeft(t, before)
}
