package view

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/event"
)

// A stage runs a test with a terminal in a bubble of its own time.
func onStage(t *testing.T, cols, rows int, play func(*testing.T, *screen, func(...event.Event), Progress)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newScreen(cols, rows)
		p, err := NewProgress(Options{Mode: "auto", W: s, Size: s.size, Left: known})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		emit := func(list ...event.Event) {
			for _, e := range list {
				e.Time = time.Now()
				p.Emit(e)
			}
			<-time.After(150 * time.Millisecond)
			synctest.Wait()
		}
		play(t, s, emit, p)
		if !s.blinks() {
			t.Error("the cursor is hidden")
		}
	})
}

// known is what earlier runs took.
func known(node, stage string) (time.Duration, bool) {
	took := map[string]time.Duration{
		" install": 30 * time.Minute, "control-0 Writing image to disk": 20 * time.Minute, "worker-0 boot": 2 * time.Second,
	}[node+" "+stage]
	return took, took != 0
}

var begun = []event.Event{
	{Kind: event.RunStart, Verb: "up", Cluster: "mycluster.lab.test"},
	{Kind: event.PhaseStart, Phase: "boot"},
	{Kind: event.PhaseDone, Phase: "boot", Seconds: 61},
	{Kind: event.PhaseStart, Phase: "install"},
	{Kind: event.StepStart, Phase: "boot", Step: "boot worker-0", Node: "worker-0"},
	{Kind: event.Stage, Stage: "installing"},
	{Kind: event.Stage, Node: "control-2", Stage: "Ready", Percent: 100},
	{Kind: event.Stage, Node: "control-10", Stage: "Joined"},
	{Kind: event.Stage, Node: "control-0", Stage: "Writing image to disk", Percent: 45},
}

func wantScreen(t *testing.T, s *screen, want string) {
	t.Helper()
	if diff := cmp.Diff(want, s.text()); diff != "" {
		t.Errorf("screen (-want +got):\n%s", diff)
	}
}

func TestTTYDrawsARowANode(t *testing.T) {
	onStage(t, 100, 24, func(t *testing.T, s *screen, emit func(...event.Event), p Progress) {
		emit(begun...)
		<-time.After(3 * time.Second)
		wantScreen(t, s, `up mycluster.lab.test  3s  installing  ~30m left
boot 1m1s | install 3s...
control-0   Writing image to disk 45%                      3s  ~20m left
control-2   Ready
control-10  Joined                                         3s
worker-0    boot                                           3s  longer than usual
last: control-0 Writing image to disk
`)
		<-time.After(2 * time.Minute)
		emit(event.Event{Kind: event.PhaseDone, Phase: "install", Seconds: 123}, event.Event{Kind: event.Stage, Node: "control-0", Stage: "Ready"},
			event.Event{Kind: event.RunDone, Verb: "up", Seconds: 184})
		p.Close()
		wantScreen(t, s, `mycluster.lab.test: up done in 3m4s
boot 1m1s | install 2m3s
control-0   Ready
control-2   Ready
control-10  Joined                                      2m03s
worker-0    boot                                        2m03s
`)
	})
}

func TestTTYKeepsWarningsAbove(t *testing.T) {
	onStage(t, 60, 24, func(t *testing.T, s *screen, emit func(...event.Event), _ Progress) {
		emit(begun[:2]...)
		emit(event.Event{Kind: event.Warning, Message: "boot image local:iso/mycluster.lab.test.iso stays\x1b[2J: the token may not delete it"})
		emit(event.Event{Kind: event.StepFailed, Phase: "boot", Step: "boot worker-0", Node: "worker-0", Error: "no\nquorum"})
		at := time.Now().Local().Format("15:04:05")
		want := `00:00:00  warning boot image local:iso/mycluster.lab.test.is
o stays [2J: the token may not delete it
00:00:00  boot worker-0 boot FAILED: no; quorum
up mycluster.lab.test  0s
boot 0s...
worker-0  boot FAILED                                  0s
last: boot worker-0 boot FAILED: no; quorum
`
		wantScreen(t, s, strings.ReplaceAll(want, "00:00:00", at))
	})
}

// What is under way is more worth than what is over.
func TestChaptersLeaveOutTheFirst(t *testing.T) {
	now := time.Now()
	phases := []chapter{{"preflight", now, 1}, {"services", now, 2}, {"install", now.Add(-time.Minute), -1}}
	for columns, want := range map[int]string{
		80: "preflight 1.0s | services 2.0s | install 1m00s...",
		48: "... | services 2.0s | install 1m00s...",
		30: "... | install 1m00s...",
		10: "... | install 1m00s...",
	} {
		if got := chapters(phases, now, columns); got != want {
			t.Errorf("in %d columns %q, want %q", columns, got, want)
		}
	}
}

func TestTTYFitsNarrowAndShortTerminals(t *testing.T) {
	onStage(t, 30, 7, func(t *testing.T, s *screen, emit func(...event.Event), _ Progress) {
		emit(begun...)
		emit(event.Event{Kind: event.Stage, Node: "worker-0", Stage: "書き込み中、もう少し待って"})
		wantScreen(t, s, `up mycluster.lab.test  0s ...
boot 1m1s | install 0s...
control-0   Writi...      ...
control-10  Joined         0s
and 2 more
last: worker-0 書き込み中...
`)
	})
}

func TestTTYDrawsATeardown(t *testing.T) {
	onStage(t, 60, 24, func(t *testing.T, s *screen, emit func(...event.Event), _ Progress) {
		emit(event.Event{Kind: event.RunStart, Verb: "down", Cluster: "mycluster.lab.test"},
			event.Event{Kind: event.PhaseStart, Phase: "teardown"},
			event.Event{Kind: event.StepStart, Phase: "teardown", Step: "machine control-0", Node: "control-0"},
			event.Event{Kind: event.StepDone, Phase: "teardown", Step: "machine control-0", Node: "control-0", Seconds: 2},
			event.Event{Kind: event.PhaseDone, Phase: "teardown", Seconds: 2},
			event.Event{Kind: event.RunDone, Verb: "down", Seconds: 2})
		wantScreen(t, s, "mycluster.lab.test: down done in 2.0s\nteardown 2.0s\ncontrol-0  gone\n")
	})
}

// A terminal that becomes narrower breaks the lines of the last frame.
func TestTTYSurvivesResizing(t *testing.T) {
	onStage(t, 100, 24, func(t *testing.T, s *screen, emit func(...event.Event), _ Progress) {
		emit(begun...)
		for _, cols := range []int{40, 100, 25, 60} {
			s.resize(cols)
			<-time.After(time.Second)
		}
		if got := strings.Count(s.text(), "up mycluster"); got != 1 {
			t.Errorf("the frame stands there %d times:\n%s", got, s.text())
		}
	})
}

func TestTTYNeverDrawsMoreThanTenTimesASecond(t *testing.T) {
	onStage(t, 80, 24, func(t *testing.T, s *screen, emit func(...event.Event), p Progress) {
		emit(begun...)
		s.drawn()
		for i := range 1000 {
			p.Emit(event.Event{Time: time.Now(), Kind: event.Stage, Node: "worker-0", Stage: strings.Repeat("x", 1+i%9)})
			<-time.After(time.Millisecond)
		}
		if n := s.drawn(); n < 5 || n > 11 {
			t.Errorf("%d writes in a second", n)
		}
		<-time.After(10 * time.Second)
		if n := s.drawn(); n < 10 || n > 30 { // seconds of the run, of a phase and of a row tick apart
			t.Errorf("%d writes in 10 seconds without an event", n)
		}
	})
}

func TestTTYMakesRoomForAQuestion(t *testing.T) {
	onStage(t, 80, 24, func(t *testing.T, s *screen, emit func(...event.Event), p Progress) {
		emit(begun[:2]...)
		err := p.Aside(func() error {
			s.Write([]byte("Make it so? "))
			<-time.After(time.Minute)
			s.Write([]byte("yes\n"))
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		emit(begun[3])
		wantScreen(t, s, "Make it so? yes\nup mycluster.lab.test  1m00s  ~30m left\nboot 1m00s... | install 0s...\nlast: up mycluster.lab.test\n")
	})
}

func TestTTYUsesColourOnlyWhereWanted(t *testing.T) {
	for _, color := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var out strings.Builder
			p, err := NewProgress(Options{Mode: "tty", W: &out, Color: color, Size: func() (int, int) { return 80, 24 }})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				p.Emit(e)
			}
			p.Close()
			if strings.Contains(out.String(), "\x1b[1m") != color {
				t.Errorf("colour %t: %q", color, out.String())
			}
		})
	}
}

func FuzzTruncate(f *testing.F) {
	f.Add("Writing image to disk", 10)
	f.Add("書き込み中", 4)
	f.Add("e\u0301\x1b[2J\n\u202e", 3)
	f.Fuzz(func(t *testing.T, s string, n int) {
		got := truncate(clean(s), n)
		if width(got) > max(n, 0) {
			t.Errorf("%q takes %d cells, more than %d", got, width(got), n)
		}
		if strings.ContainsAny(got, "\x1b\n\r\u009b\u202e") {
			t.Errorf("%q can move the cursor", got)
		}
	})
}
