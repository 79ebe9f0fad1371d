package view

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/event"
)

var story = []event.Event{
	{Kind: event.RunStart, Verb: "up", Cluster: "mycluster.lab.test"},
	{Kind: event.PhaseStart, Phase: "machines"},
	{Kind: event.StepStart, Phase: "machines", Step: "machine control-0", Node: "control-0"},
	{Kind: event.StepRetry, Phase: "machines", Step: "machine control-0", Node: "control-0", Error: "got lock timeout"},
	{Kind: event.StepDone, Phase: "machines", Step: "machine control-0", Node: "control-0", Seconds: 2.04},
	{Kind: event.PhaseDone, Phase: "machines", Seconds: 61},
	{Kind: event.Stage, Node: "control-0", Stage: "Writing image to disk", Percent: 5},
	{Kind: event.Stage, Node: "control-0", Stage: "Writing image to disk", Percent: 10},
	{Kind: event.Warning, Message: "boot image stays"},
	{Kind: event.StepFailed, Phase: "install", Step: "install", Error: "no answer"},
	{Kind: event.RunDone, Verb: "up", Seconds: 3, Error: "install: no answer"},
}

func TestPlainTellsEachTransitionOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := tell(t, "plain")
		want := `up mycluster.lab.test
machines   control-0     machine is tried again: got lock timeout
machines   control-0     machine 2.0s
machines                 done in 1m1s
           control-0     Writing image to disk
warning                  boot image stays
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

func TestPlainIsNeverSilentForMoreThanAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p, err := NewProgress("auto", &out)
		if err != nil {
			t.Fatal(err)
		}
		p.Emit(event.Event{Time: time.Now(), Kind: event.Stage, Stage: "installing"})
		<-time.After(3*time.Minute + time.Second)
		p.Close()
		if n := strings.Count(out.String(), "still at:"); n != 3 {
			t.Errorf("%d heartbeats in 3 minutes:\n%s", n, out.String())
		}
	})
}

func TestJSONNamesItsVersionFirst(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(tell(t, "json")), "\n")
	if lines[0] != `{"stream":"slipway.events","version":1}` {
		t.Errorf("first line %s", lines[0])
	}
	if len(lines) != len(story)+1 {
		t.Errorf("%d lines for %d events", len(lines), len(story))
	}
}

func TestNoneIsSilentAndUnknownIsRefused(t *testing.T) {
	if got := tell(t, "none"); got != "" {
		t.Errorf("none says %q", got)
	}
	if _, err := NewProgress("loud", nil); err == nil || err.Error() != `progress "loud" is none of auto, plain, json, none` {
		t.Errorf("error %v", err)
	}
}

func tell(t *testing.T, mode string) string {
	t.Helper()
	var out strings.Builder
	p, err := NewProgress(mode, &out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range story {
		p.Emit(e)
	}
	p.Close()
	return out.String()
}
