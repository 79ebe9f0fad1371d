package provision

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/event"
)

// aRun is one `up`, in which the control plane takes the given seconds from
// boot to Ready and the rest of the run a minute.
func aRun(t *Timings, seconds int, verb, failure string, also ...event.Event) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	sink := t.Watch(event.Discard)
	sink.Emit(event.Event{Time: began, Kind: event.RunStart, Verb: verb})
	for _, e := range also {
		sink.Emit(e)
	}
	for _, e := range []event.Event{
		{Time: at(0), Kind: event.PhaseStart, Phase: "boot"},
		{Time: at(0), Kind: event.StepStart, Phase: "boot", Step: "boot control-0", Node: "control-0"},
		{Time: at(1), Kind: event.StepStart, Phase: "boot", Step: "boot control-1", Node: "control-1"},
		{Time: at(2), Kind: event.StepStart, Phase: "boot", Step: "boot control-2", Node: "control-2"},
		{Time: at(5), Kind: event.Stage, Node: "control-0", Stage: "Joined", Percent: 10},
		{Time: at(8), Kind: event.Stage, Node: "control-0", Stage: "Joined", Percent: 20},
		{Time: at(seconds), Kind: event.Stage, Node: "control-0", Stage: "Ready", Percent: 100},
		{Time: at(seconds + 9), Kind: event.StepStart, Phase: "join", Step: "health control-0", Node: "control-0"},
		{Time: at(seconds + 60), Kind: event.RunDone, Verb: verb, Error: failure},
	} {
		sink.Emit(e)
	}
}

func wantLeft(t *testing.T, timings *Timings, want map[[2]string]time.Duration) {
	t.Helper()
	got := map[[2]string]time.Duration{}
	for m := range want {
		if left, ok := timings.Left(m[0], m[1]); ok {
			got[m] = left
		} else {
			got[m] = -1
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestTimingsPredictByTheMedianOfRuns(t *testing.T) {
	home := t.TempDir()
	timings := OpenTimings(home)
	wantLeft(t, timings, map[[2]string]time.Duration{{"control-7", "boot"}: -1, {"", "boot"}: -1})
	for _, seconds := range []int{100, 5000, 200} {
		aRun(timings, seconds, "up", "")
	}
	want := map[[2]string]time.Duration{
		{"control-7", "Joined"}: 195 * time.Second, // of one node like it
		{"control-7", "boot"}:   258 * time.Second, // its middle node waited until the end of the run
		{"", "boot"}:            260 * time.Second,
		{"control-7", "health"}: -1,
		{"worker-0", "Joined"}:  -1,
	}
	wantLeft(t, timings, want)
	wantLeft(t, OpenTimings(home), want)
	info, err := os.Stat(filepath.Join(home, "timings.json"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("file %v, %v", info, err)
	}
}

func TestTimingsAreOfGoodWholeRunsOnly(t *testing.T) {
	skip := event.Event{Kind: event.StepSkip, Phase: "media", Step: "image"}
	for name, play := range map[string]func(*Timings){
		"a run that failed":  func(ts *Timings) { aRun(ts, 100, "up", "no answer") },
		"a run that went on": func(ts *Timings) { aRun(ts, 100, "up", "", skip) },
		"a teardown":         func(ts *Timings) { aRun(ts, 100, "down", "") },
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			timings := OpenTimings(home)
			play(timings)
			wantLeft(t, timings, map[[2]string]time.Duration{{"control-0", "Joined"}: -1})
			if left, _ := os.ReadDir(home); len(left) != 0 {
				t.Errorf("%v was written", left)
			}
		})
	}
}

func TestTimingsSurviveADamagedFile(t *testing.T) {
	for name, text := range map[string]string{
		"torn":            `{"version":1,"kinds":{"control/boot":{"sec`,
		"another version": `{"version":2,"kinds":{"control/boot":{"seconds":[1]}}}`,
		"nonsense":        `{"version":1,"kinds":{"control/boot":{"seconds":[-5,1e300]},"control/Joined":{}}}`,
		"too large":       fmt.Sprintf(`{"version":1,"kinds":{"control/boot":{"seconds":[1]}}%*s`, maxTimings, "}"),
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			if err := os.WriteFile(filepath.Join(home, "timings.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			timings := OpenTimings(home)
			wantLeft(t, timings, map[[2]string]time.Duration{{"control-0", "boot"}: -1})
			aRun(timings, 100, "up", "")
			wantLeft(t, OpenTimings(home), map[[2]string]time.Duration{{"control-0", "Joined"}: 95 * time.Second})
		})
	}
}

func TestTimingsAreBounded(t *testing.T) {
	home := t.TempDir()
	timings := OpenTimings(home)
	for i := range 20 {
		aRun(timings, 100+i, "up", "")
	}
	kept := timings.kinds["control/Joined"].Seconds
	if diff := cmp.Diff([]float64{106, 107, 108, 109, 110, 111, 112, 113, 114}, kept); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
	var many []event.Event
	for i := range 2 * keptKinds {
		many = append(many, event.Event{Time: time.Unix(1767323045, 0), Kind: event.Stage, Node: "other-0", Stage: fmt.Sprint(i)})
	}
	aRun(timings, 100, "up", "", many...)
	if n := len(OpenTimings(home).kinds); n != keptKinds {
		t.Errorf("%d kinds are kept, want %d", n, keptKinds)
	}
}

// FuzzTimings: whatever the file holds, it is read or passed over.
func FuzzTimings(f *testing.F) {
	f.Add([]byte(`{"version":1,"kinds":{"control/boot":{"seconds":[1,2.5],"seen":"2026-01-02T03:04:05Z"}}}`))
	f.Add([]byte(`{"version":1,"kinds":{"/":{"seconds":null}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "timings.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		left, ok := OpenTimings(filepath.Dir(path)).Left("control-0", "boot")
		if ok && (left < 0 || left > 24*time.Hour) {
			t.Errorf("%v are left", left)
		}
	})
}
