package provision

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/provision/event"
)

const (
	timingsVersion = 1
	timingsFile    = "timings.json"
	maxTimings     = 1 << 20 // bytes of the file
	keptSamples    = 9       // of a kind; an odd number has a middle
	keptKinds      = 500
	lastStage      = "Ready"
)

// Timings are how long good runs of `up` took from the beginning of each stage
// to the end: that of a node until it was Ready, that of the cluster until all
// was. They are kept in the state home, for predictions only: a file that
// cannot be read is as none, and one that cannot be written is no failure.
// Timings are safe for concurrent use.
type Timings struct {
	path  string
	mu    sync.Mutex
	kinds map[string]timing
	run   map[moment]time.Time // when the stages of this run were first seen
	ended map[string]time.Time // when its nodes were Ready
	whole bool                 // the run began from nothing
}

// A timing is what was learned of one kind of stage.
type timing struct {
	Seconds []float64 `json:"seconds"` // oldest first
	Seen    time.Time `json:"seen"`
}

// A moment is a stage of a node, or with node "" a phase of the run.
type moment struct{ node, stage string }

// kind is what moments of equal nodes share: nodes of one machines block are
// equal.
func (m moment) kind() string {
	block := m.node
	if i := strings.LastIndexByte(m.node, '-'); i >= 0 {
		block = m.node[:i]
	}
	return block + "/" + m.stage
}

type timingsDocument struct {
	Version int               `json:"version"`
	Kinds   map[string]timing `json:"kinds"`
}

// OpenTimings reads what was learned below the state home.
func OpenTimings(home string) *Timings {
	t := &Timings{path: filepath.Join(home, timingsFile)}
	t.kinds = t.read()
	return t
}

// read returns what the file says; of a file that is damaged, too large or of
// another version: nothing.
func (t *Timings) read() map[string]timing {
	kinds := map[string]timing{}
	f, err := os.Open(t.path)
	if err != nil {
		return kinds
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTimings+1))
	var doc timingsDocument
	if err != nil || len(data) > maxTimings || json.Unmarshal(data, &doc) != nil || doc.Version != timingsVersion {
		return kinds
	}
	for kind, known := range doc.Kinds {
		known.Seconds = slices.DeleteFunc(known.Seconds, func(s float64) bool { return s < 0 || s > (24*time.Hour).Seconds() })
		if len(known.Seconds) > 0 {
			kinds[kind] = known
		}
	}
	return kinds
}

// Left is how long it usually takes from the beginning of a stage until the
// node is Ready, or with node "" from the beginning of a phase until the
// cluster is: the median of the last runs.
func (t *Timings) Left(node, stage string) (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := slices.Sorted(slices.Values(t.kinds[moment{node, stage}.kind()].Seconds))
	if len(known) == 0 {
		return 0, false
	}
	return time.Duration(known[len(known)/2] * float64(time.Second)), true
}

// Watch returns a sink that learns from the events it passes on.
func (t *Timings) Watch(next event.Sink) event.Sink {
	return event.Func(func(e event.Event) {
		t.learn(e)
		next.Emit(e)
	})
}

func (t *Timings) learn(e event.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Kind {
	case event.RunStart:
		t.run, t.ended, t.whole = map[moment]time.Time{}, map[string]time.Time{}, e.Verb == "up"
	case event.StepSkip: // a run that goes on shows the ends of stages only
		t.whole = false
	case event.PhaseStart:
		t.saw(moment{"", e.Phase}, e.Time)
	case event.StepStart:
		t.saw(moment{e.Node, strings.TrimSpace(strings.TrimSuffix(e.Step, e.Node))}, e.Time)
	case event.Stage:
		t.saw(moment{e.Node, e.Stage}, e.Time)
	case event.RunDone:
		if t.whole && e.Error == "" {
			t.keep(e.Time)
		}
		t.whole = false
	}
}

// saw notes the first sight of a stage. Once a node is Ready the steps that
// look at it are none of its stages.
func (t *Timings) saw(m moment, at time.Time) {
	if !t.whole || !t.ended[m.node].IsZero() {
		return
	}
	if m.node != "" && m.stage == lastStage {
		t.ended[m.node] = at
		return
	}
	if t.run[m].IsZero() {
		t.run[m] = at
	}
}

// keep adds the run to what the file says now: another run may have ended
// since it was read.
func (t *Timings) keep(end time.Time) {
	t.kinds = t.read()
	learned := map[string][]float64{}
	for m, since := range t.run {
		until := end
		if at := t.ended[m.node]; !at.IsZero() {
			until = at
		}
		learned[m.kind()] = append(learned[m.kind()], until.Sub(since).Seconds())
	}
	for kind, seconds := range learned {
		slices.Sort(seconds) // one sample a run: that of its middle node
		all := append(t.kinds[kind].Seconds, seconds[len(seconds)/2])
		t.kinds[kind] = timing{all[max(0, len(all)-keptSamples):], end.UTC()}
	}
	t.forget()
	data, err := json.MarshalIndent(timingsDocument{timingsVersion, t.kinds}, "", "  ")
	if err == nil {
		_ = atomicfile.Write(t.path, append(data, '\n'), 0o600)
	}
}

// forget drops the kinds that were not seen for longest.
func (t *Timings) forget() {
	oldest := slices.SortedFunc(maps.Keys(t.kinds), func(a, b string) int {
		return cmp.Or(t.kinds[a].Seen.Compare(t.kinds[b].Seen), strings.Compare(a, b))
	})
	for _, kind := range oldest[:max(0, len(oldest)-keptKinds)] {
		delete(t.kinds, kind)
	}
}
