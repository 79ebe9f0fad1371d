package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-project/slipway/provision/event"
)

// The last stages of a node: of `up` (provision: join), and of `down`.
const (
	ready    = "Ready"
	gone     = "gone"
	teardown = "teardown" // the phase of down
)

// A story is what the events of one run add up to.
type story struct {
	verb, cluster string
	began         time.Time
	ended         event.Event // run.done; the zero event while it runs
	phases        []chapter   // in the order in which they began
	nodes         map[string]row
	steps         map[string]open // under way, by name
	stage         string          // of the whole cluster
	last          string          // the last line that was worth one
}

// A chapter is a phase.
type chapter struct {
	name    string
	since   time.Time
	seconds float64 // that it took; negative while it runs
}

// A row is a node.
type row struct {
	stage   string
	percent int
	since   time.Time // when the stage began
	wrong   bool
}

// An open is a step under way.
type open struct {
	text  string
	since time.Time
}

// tell adds an event to the story.
func (s *story) tell(e event.Event) {
	if e.Kind == event.RunStart {
		*s = story{verb: e.Verb, cluster: e.Cluster, began: e.Time, nodes: map[string]row{}, steps: map[string]open{}}
	}
	if s.nodes == nil { // told from the middle on
		s.nodes, s.steps, s.began = map[string]row{}, map[string]open{}, e.Time
	}
	s.chapter(e)
	s.step(e)
	if e.Kind == event.Stage && e.Node == "" {
		s.stage = clean(e.Stage)
	}
	if e.Kind == event.RunDone {
		s.ended = e
	}
	if text := line(e); text != "" {
		s.last = strings.Join(strings.Fields(text), " ")
	}
}

func (s *story) chapter(e event.Event) {
	switch e.Kind {
	case event.PhaseStart:
		s.phases = append(s.phases, chapter{e.Phase, e.Time, -1})
	case event.PhaseDone:
		if i := slices.IndexFunc(s.phases, func(c chapter) bool { return c.name == e.Phase }); i >= 0 {
			s.phases[i].seconds = e.Seconds
		}
	}
}

func (s *story) step(e event.Event) {
	switch e.Kind {
	case event.StepStart:
		s.steps[e.Step] = open{e.Step, e.Time}
		s.move(e, kindOf(e), false)
	case event.StepRetry:
		s.move(e, kindOf(e)+" is tried again", true)
	case event.StepDone, event.StepSkip:
		delete(s.steps, e.Step)
		stage := kindOf(e) + " done"
		if e.Phase == teardown {
			stage = gone
		}
		s.move(e, stage, false)
	case event.StepFailed:
		delete(s.steps, e.Step)
		s.move(e, kindOf(e)+" FAILED", true)
	case event.Stage:
		s.move(e, clean(e.Stage), false)
	}
}

// move puts a node into another stage. Steps that follow after it was Ready
// only look at it.
func (s *story) move(e event.Event, stage string, wrong bool) {
	was := s.nodes[e.Node]
	if e.Node == "" || was.stage == ready && !wrong {
		return
	}
	now := row{stage, e.Percent, e.Time, wrong}
	if was.stage == stage {
		now.since = was.since
	}
	s.nodes[e.Node] = now
}

// running reports whether the run has begun and not ended.
func (s *story) running() bool { return s.nodes != nil && s.ended.Kind == "" }

// names lists the nodes as people count them: control-2 before control-10.
func (s *story) names() []string {
	return slices.SortedFunc(maps.Keys(s.nodes), func(a, b string) int {
		blockA, a2 := counted(a)
		blockB, b2 := counted(b)
		return cmp.Or(strings.Compare(blockA, blockB), cmp.Compare(a2, b2))
	})
}

func counted(node string) (block string, n int) {
	i := strings.LastIndexByte(node, '-')
	n, err := strconv.Atoi(node[i+1:])
	if err != nil {
		return node, 0
	}
	return node[:max(i, 0)], n
}

// waiting says what the run waits for: the steps under way, then the nodes
// that are not Ready by what they are doing.
func (s *story) waiting(now time.Time) string {
	var parts []string
	for _, o := range slices.SortedFunc(maps.Values(s.steps), func(a, b open) int { return a.since.Compare(b.since) }) {
		parts = append(parts, fmt.Sprintf("%s for %s", o.text, clock(now.Sub(o.since))))
	}
	if s.stage != "" {
		parts = append(parts, s.stage)
	}
	for _, name := range s.names() {
		if r := s.nodes[name]; !r.ended() && !strings.HasSuffix(r.stage, " done") && s.steps[r.stage+" "+name].text == "" {
			parts = append(parts, name+" "+r.text())
		}
	}
	if len(parts) == 0 {
		return s.last
	}
	return strings.Join(parts, ", ")
}

// ended reports whether nothing more is to be done for the node.
func (r row) ended() bool { return r.stage == ready || r.stage == gone }

func (r row) text() string {
	if r.percent > 0 && r.percent < 100 {
		return fmt.Sprintf("%s %d%%", r.stage, r.percent)
	}
	return r.stage
}
