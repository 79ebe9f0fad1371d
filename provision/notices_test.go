package provision

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/provider"
)

// watchful is a script that has something to say, once it looks.
type watchful struct {
	*script
	since time.Time
}

func (w *watchful) Notices(context.Context, provider.Mark) ([]string, error) {
	switch waited := time.Since(w.since); {
	case waited < 5*time.Minute:
		return nil, nil
	case waited < 10*time.Minute:
		return []string{"machine control-0.c.lab.test: it hung and was power-cycled"}, nil
	}
	return nil, fmt.Errorf("the supervisor does not answer")
}

// What the provider meets while a run waits is told within seconds, once, and
// ends nothing.
func TestNoticesAreTold(t *testing.T) {
	home := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := simulate(home, "c", 1, 7)
		began := time.Now()
		s.Project.provider = &watchful{s.script, began}
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range s.log.seen {
			if e.Kind == event.Warning {
				got = append(got, fmt.Sprintf("%v %s", e.Time.Sub(began).Truncate(10*time.Second), e.Message))
			}
		}
		want := []string{"5m0s machine control-0.c.lab.test: it hung and was power-cycled", "10m0s the supervisor does not answer"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
	})
}
