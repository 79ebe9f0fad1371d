//go:build rehearse

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/slipway-project/slipway/provision"
)

// An address that somebody has already is named before anything is made.
func TestRehearseTakenAddress(t *testing.T) {
	w := openTestWorld(t, example)
	w.ip(t, "addr", "add", "192.0.2.203/32", "dev", "lo")
	began := time.Now()
	stderr := w.fails(t, provision.ExitPreflight, nil, "up", "--yes", "-f", example)
	const want = "address 192.0.2.203 of node control-2.mycluster.lab.test is taken: this host has it"
	if !strings.Contains(stderr, want) || strings.Contains(stderr, "192.0.2.201") {
		t.Errorf("stderr %s", stderr)
	}
	t.Logf("named after %.1f s", time.Since(began).Seconds())
	w.noResidue(t)
}
