package provision

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-project/slipway/provision/provider"
)

// Every way in which a run ends, with its exit code, its words and the time it
// takes to say so.
func TestEndsOfARun(t *testing.T) {
	tests := []struct {
		name   string
		change func(*simulated)
		ends   time.Duration // --timeout, or an interrupt when negative
		code   int
		want   string // begins the error
		least  time.Duration
		most   time.Duration
	}{
		{"all goes well", func(*simulated) {}, 0, ExitOK, "", 35 * time.Minute, 46 * time.Minute},
		{"the provider refuses", func(s *simulated) { s.script.broken["ensure"] = errors.New("no room") }, 0,
			ExitInfrastructure, "machine control-0: no room", 0, time.Minute},
		{"the provider is busy for ever", func(s *simulated) { s.script.broken["ensure"] = busy{"lock"} }, 0,
			ExitInfrastructure, "machine control-0: no time is left for this step after 10m0s; last: lock: busy", 10 * time.Minute, 11 * time.Minute},
		{"a host stays silent", func(s *simulated) { s.script.stuck, s.cluster.Nodes[0].Address = "control-0", netip.Addr{} }, 0,
			ExitInstall, "discover: nothing has changed for 15m5s: control-0 has not registered: has the DHCP server given an address to 02:00:00:00:00:00?", 15 * time.Minute, 22 * time.Minute},
		{"no host comes back", func(s *simulated) { s.script.stuck = "install" }, 0,
			ExitBootstrap, "install: nothing has changed for 1h0m", time.Hour, 80 * time.Minute},
		{"the preparation is given up three times", func(s *simulated) { s.script.givesUp = 3 }, 0, ExitOK, "", 50 * time.Minute, 70 * time.Minute},
		{"the preparation is given up again and again", func(s *simulated) { s.script.givesUp = 9 }, 0,
			ExitBootstrap, "install: the installer has given up preparing the installation 4 times: as the script has it", 20 * time.Minute, 30 * time.Minute},
		{"the installer falls silent", func(s *simulated) { s.script.broken["poll"] = busy{"installer"} }, 0,
			ExitInstall, "discover: look whether it is so already: no time is left", 25 * time.Minute, 40 * time.Minute},
		{"the time given ends in the midst of it", func(*simulated) {}, 20 * time.Minute,
			ExitTimeout, "install: the time given has passed: as the script has it (it was still progressing)", 20 * time.Minute, 20*time.Minute + time.Second},
		{"the time given ends when nothing has moved for long", func(s *simulated) { s.script.stuck = "install" }, 50 * time.Minute,
			ExitBootstrap, "install: the time given has passed: as the script has it", 50 * time.Minute, 50*time.Minute + time.Second},
		{"the longest time of a step ends while it moves", func(s *simulated) { s.script.hangs = 8 * time.Hour }, 0,
			ExitTimeout, "install: no time is left for this step after 5h0m0s, and it was still progressing: as the script has it", 5 * time.Hour, 5*time.Hour + 10*time.Minute},
		{"interrupted", func(*simulated) {}, -10 * time.Minute,
			ExitInterrupted, "interrupted", 10 * time.Minute, 10*time.Minute + time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := simulate(home, "c", 1, 7)
				test.change(s)
				ctx, cancel := ending(t.Context(), test.ends)
				defer cancel()
				began := time.Now()
				err := s.Run(ctx)
				if code := ExitCode(err); code != test.code {
					t.Errorf("exit code %d, want %d", code, test.code)
				}
				if got := fmt.Sprint(err); err != nil && !strings.HasPrefix(got, test.want) {
					t.Errorf("error %q, want %q", got, test.want)
				}
				if took := time.Since(began); took < test.least || took > test.most {
					t.Errorf("ended after %v, want %v to %v", took, test.least, test.most)
				}
			})
		})
	}
}

func ending(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	switch {
	case after > 0:
		return context.WithTimeoutCause(ctx, after, ErrTimeout)
	case after < 0:
		return context.WithTimeoutCause(ctx, -after, ErrInterrupted)
	}
	return context.WithCancel(ctx)
}

// A machine that cannot be removed is named, what it stands on stays, and the
// state with it; once it can be removed, all goes.
func TestPartialTeardown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(t.TempDir(), "c", 2, 1)
		for _, node := range s.script.nodes {
			s.script.machines[node] = provider.Machine{Node: node, Name: node + ".c.lab.test", ID: "20000", Place: "pve"}
		}
		s.script.broken["release"] = errors.New("locked")
		if err := s.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := s.remove(t.Context())
		if want := "machine control-1.c.lab.test (20000 on pve)"; ExitCode(err) != ExitPartial || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "locked") {
			t.Errorf("error %v, exit code %d", err, ExitCode(err))
		}
		if s.script.tries["remove"] != 0 {
			t.Error("the registration of machines that exist was removed")
		}
		delete(s.script.broken, "release")
		if err := s.remove(t.Context()); err != nil || len(s.script.machines) != 0 || s.script.tries["remove"] != 1 {
			t.Errorf("again: %v, left %v", err, s.script.machines)
		}
	})
}
