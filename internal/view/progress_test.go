package view

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/event"
)

var events = []event.Event{
	{Kind: event.RunStart, Verb: "up", Cluster: "mycluster.lab.test"},
	{Kind: event.PhaseStart, Phase: "machines"},
	{Kind: event.StepStart, Phase: "machines", Step: "machine control-0", Node: "control-0"},
	{Kind: event.StepRetry, Phase: "machines", Step: "machine control-0", Node: "control-0", Error: "got lock timeout"},
	{Kind: event.StepDone, Phase: "machines", Step: "machine control-0", Node: "control-0", Seconds: 2.04},
	{Kind: event.StepSkip, Phase: "machines", Step: "machine control-1", Node: "control-1"},
	{Kind: event.PhaseDone, Phase: "machines", Seconds: 61},
	{Kind: event.Stage, Node: "control-0", Stage: "Writing image to disk", Percent: 5},
	{Kind: event.Stage, Node: "control-0", Stage: "Writing image to disk", Percent: 10},
	{Kind: event.Note, Message: "names resolve here"},
	{Kind: event.Warning, Message: "boot image stays\x1b[2J\nfor good"},
	{Kind: event.Warning, Message: "no KVM", Hint: "load kvm_intel"},
	{Kind: event.StepFailed, Phase: "install", Step: "install", Error: "no answer", Seconds: 1},
	{Kind: event.RunDone, Verb: "up", Cluster: "mycluster.lab.test", Seconds: 3, Error: "install: no answer"},
}

func TestPlainTellsEachTransitionOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := tell(t, Options{Mode: "plain"})
		want := `up mycluster.lab.test
machines   control-0     machine is tried again: got lock timeout
machines   control-0     machine 2.0s
machines                 done in 1m1s
           control-0     Writing image to disk
note                     names resolve here
warning                  boot image stays [2J; for good
warning                  no KVM; hint: load kvm_intel
install                  install FAILED: no answer
up ended after 3.0s
`
		var bare strings.Builder
		for line := range strings.Lines(got) {
			bare.WriteString(line[len("15:04:05  "):])
		}
		if diff := cmp.Diff(want, bare.String()); diff != "" {
			t.Errorf("plain progress (-want +got):\n%s", diff)
		}
	})
}

// CI systems end jobs that are silent; people want to know what for.
func TestPlainSaysEachMinuteWhatItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p, err := NewProgress(Options{Mode: "auto", W: &out})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []event.Event{
			{Kind: event.RunStart, Verb: "up", Cluster: "mycluster.lab.test"},
			{Kind: event.StepStart, Phase: "install", Step: "install"},
			{Kind: event.Stage, Stage: "installing", Percent: 3},
			{Kind: event.Stage, Node: "worker-0", Stage: "Joined"},
			{Kind: event.Stage, Node: "control-0", Stage: "Ready", Percent: 100},
			{Kind: event.Stage, Node: "worker-1", Stage: "Writing image to disk", Percent: 40},
		} {
			e.Time = time.Now()
			p.Emit(e)
		}
		<-time.After(3*time.Minute + time.Second)
		p.Close()
		<-time.After(3 * time.Minute)
		var beats []string
		for line := range strings.Lines(out.String()) {
			if _, text, ok := strings.Cut(line, "waiting for: "); ok {
				beats = append(beats, text)
			}
		}
		const state = ", installing, worker-0 Joined, worker-1 Writing image to disk 40%\n"
		want := []string{"install for 1m00s" + state, "install for 2m00s" + state, "install for 3m00s" + state}
		if diff := cmp.Diff(want, beats); diff != "" {
			t.Errorf("heartbeats in 3 minutes (-want +got):\n%s", diff)
		}
	})
}

func TestPlainIsSilentWhileAPersonIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p, err := NewProgress(Options{Mode: "plain", W: &out})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		p.Emit(event.Event{Time: time.Now(), Kind: event.RunStart, Verb: "up"})
		before := out.String()
		if err := p.Aside(func() error { <-time.After(time.Hour); return nil }); err != nil {
			t.Error(err)
		}
		if got := out.String(); got != before {
			t.Errorf("drawn while a person was asked: %q", strings.TrimPrefix(got, before))
		}
	})
}

func TestJSONNamesItsVersionFirst(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(tell(t, Options{Mode: "json"})), "\n")
	if lines[0] != `{"stream":"slipway.events","version":1}` {
		t.Errorf("first line %s", lines[0])
	}
	if len(lines) != len(events)+1 {
		t.Errorf("%d lines for %d events", len(lines), len(events))
	}
}

func TestNoneIsSilentAndUnknownIsRefused(t *testing.T) {
	if got := tell(t, Options{Mode: "none"}); got != "" {
		t.Errorf("none says %q", got)
	}
	for mode, want := range map[string]string{
		"loud": `progress "loud" is none of auto, tty, plain, json, none`,
		"tty":  `progress tty needs a terminal`,
	} {
		if _, err := NewProgress(Options{Mode: mode}); err == nil || err.Error() != want {
			t.Errorf("mode %s: error %v, want %s", mode, err, want)
		}
	}
}

// Phases overlap, groups cannot: one group for those that do.
func TestGitHubFoldsPhasesAndAnnotatesWarnings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p, err := NewProgress(Options{Mode: "auto", GitHub: true, W: &out})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []event.Event{
			{Kind: event.RunStart, Verb: "up", Cluster: "mycluster.lab.test"},
			{Kind: event.PhaseStart, Phase: "media"},
			{Kind: event.PhaseStart, Phase: "machines"},
			{Kind: event.PhaseDone, Phase: "media", Seconds: 1},
			{Kind: event.Warning, Node: "control-0", Message: "50% left:\nlook"},
			{Kind: event.PhaseDone, Phase: "machines", Seconds: 2},
			{Kind: event.PhaseStart, Phase: "install"},
			{Kind: event.RunDone, Verb: "up", Seconds: 3, Error: "no answer"},
		} {
			p.Emit(e)
		}
		p.Close()
		var got []string
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "::") {
				line = line[len("15:04:05  "):]
			}
			got = append(got, line)
		}
		want := []string{
			"up mycluster.lab.test", "::group::media", "media                    done in 1.0s",
			"::warning::control-0 50%25 left:; look", "::endgroup::", "machines                 done in 2.0s",
			"::group::install", "::endgroup::", "up ended after 3.0s",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}
	})
}

func TestAnnotationEscapes(t *testing.T) {
	got := Annotation("error", "100%\nsee\r::error::x", "a,b:c.hcl", 3)
	if want := "::error file=a%2Cb%3Ac.hcl,line=3::100%25%0Asee%0D::error::x"; got != want {
		t.Errorf("annotation %q, want %q", got, want)
	}
}

func tell(t *testing.T, o Options) string {
	t.Helper()
	var out strings.Builder
	o.W = &out
	p, err := NewProgress(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		p.Emit(e)
	}
	p.Close()
	p.Emit(events[0])
	return out.String()
}
