//go:build rehearse

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/state"
	"github.com/slipway-project/slipway/provision/state/filestore"
	"github.com/slipway-project/slipway/rehearsal"
)

// crashPoints are those that every step has, handlePoints those of a step with
// a task elsewhere.
var (
	crashPoints  = []phase.Point{phase.BeforeIntent, phase.AfterIntent, phase.BeforeDone, phase.AfterDone}
	handlePoints = []phase.Point{phase.BeforeHandle, phase.AfterHandle}
)

// A matrix is all crash points of up and down of one spec: what was recorded
// of a run that nobody disturbed, and what is still to be met.
type matrix struct {
	spec  string
	steps map[string][]string // by verb, as they begin
	whole map[string]int      // what a cluster is made of

	mu      sync.Mutex
	random  *rand.Rand
	wanted  map[string][]string        // by verb, STEP:POINT
	perhaps []string                   // points of up after which down is next
	handles map[string]map[string]bool // by verb: steps of which the journal had a handle

	kills, lives, gone int
}

// recordMatrix watches one undisturbed life of a cluster.
func recordMatrix(t *testing.T, spec string, seed uint64) *matrix {
	t.Helper()
	m := &matrix{spec: spec, random: rand.New(rand.NewPCG(seed, 0)), steps: map[string][]string{},
		wanted: map[string][]string{}, handles: map[string]map[string]bool{"up": {}, "down": {}}}
	w := openWorldAt(t, crashSpeed, spec)
	m.watch(t, w, "up")
	m.whole = inventory(w.residue(t), w.ready.Env["SLIPWAY_HOME"])
	m.watch(t, w, "down")
	w.noResidue(t)
	if len(m.steps["up"]) < 10 || len(m.steps["down"]) < 4 || len(m.handles["up"]) < 2 {
		t.Fatalf("recorded %q, with handles %v", m.steps, m.handles)
	}
	return m
}

// watch runs a verb and notes its steps as they begin, and their handles as
// they end.
func (m *matrix) watch(t *testing.T, w *testWorld, verb string) {
	t.Helper()
	cmd := w.slipway(t, verb, "--yes", "-f", m.spec, "--progress", "json")
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		var e event.Event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		switch e.Kind {
		case event.StepStart:
			m.steps[verb] = append(m.steps[verb], e.Step)
		case event.StepDone:
			m.learn(t, w, verb, e.Step)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(verb, ": ", err)
	}
}

// learn notes whether the journal has a handle of the step.
func (m *matrix) learn(t *testing.T, w *testWorld, verb, step string) {
	t.Helper()
	home := filestore.New(w.ready.Env["SLIPWAY_HOME"])
	clusters, err := home.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clusters {
		doc, err := home.Read(context.Background(), c)
		if err == nil && doc.Steps[step].Handle != "" && (verb == "up") == (doc.Steps[step].Kind == state.Done) {
			m.handles[verb][step] = true
		}
	}
}

// wantAll wants every point of every step.
func (m *matrix) wantAll() {
	for verb, steps := range m.steps {
		for _, s := range steps {
			for _, p := range slices.Concat(crashPoints, handlePoints) {
				m.want(verb, s, p)
			}
		}
	}
}

// wantSample wants one point of every step, and every kind of point.
func (m *matrix) wantSample() {
	for verb, steps := range m.steps {
		plain, remote := 0, 0
		for _, s := range steps {
			if m.handles[verb][s] {
				m.want(verb, s, slices.Concat(handlePoints, crashPoints)[remote%6])
				remote++
			} else {
				m.want(verb, s, crashPoints[plain%4])
				plain++
			}
		}
	}
}

func (m *matrix) want(verb, step string, p phase.Point) {
	at := step + ":" + string(p)
	m.wanted[verb] = append(m.wanted[verb], at)
	remote := slices.Contains(handlePoints, p)
	if verb == "up" && !slices.Contains(m.late(), step) && (!remote || m.handles[verb][step]) {
		m.perhaps = append(m.perhaps, at)
	}
}

// late are the steps of up before which an installation takes its time.
func (m *matrix) late() []string {
	up := m.steps["up"]
	return up[max(0, slices.Index(up, "discover")):]
}

// liveOn makes and removes clusters until no life meets a wanted point any
// more, then those that are removed after the first kill.
func (m *matrix) liveOn(t *testing.T, w *testWorld) {
	for all := false; ; {
		met := m.live(t, w, all)
		if m.count() == 0 || all && met == 0 {
			break
		}
		all = met == 0
	}
	for at := m.next(); at != ""; at = m.next() {
		w.dies(t, "up", m.spec, []string{at})
		w.goneAfterDown(t, m.spec)
	}
}

// live is one life of a cluster: up until it is Ready, then down until it is
// gone, each killed at every wanted point that it meets. Unless all points are
// meant, some are left for another life, so that lives differ.
func (m *matrix) live(t *testing.T, w *testWorld, all bool) (met int) {
	for _, verb := range []string{"up", "down"} {
		some := m.pick(verb, all)
		for at := w.dies(t, verb, m.spec, some); at != ""; at = w.dies(t, verb, m.spec, some) {
			some = slices.DeleteFunc(some, func(s string) bool { return s == at })
			m.meet(verb, at)
			m.nothingTwice(t, w, verb+" "+at)
			met++
		}
		if verb == "up" {
			m.isWhole(t, w)
		}
	}
	w.noResidue(t)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lives++
	return met
}

// pick returns wanted points of a verb in any order.
func (m *matrix) pick(verb string, all bool) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	some := slices.Clone(m.wanted[verb])
	if !all && len(some) > 30 {
		m.random.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		some = some[:len(some)*2/3]
	}
	return some
}

func (m *matrix) meet(verb, at string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kills++
	m.wanted[verb] = slices.DeleteFunc(m.wanted[verb], func(s string) bool { return s == at })
	if step, found := strings.CutSuffix(at, ":"+string(phase.AfterHandle)); found {
		m.handles[verb][step] = true
	}
}

// next takes a point of up after which down follows; "" is the last.
func (m *matrix) next() (at string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.perhaps) > 0 {
		at, m.perhaps = m.perhaps[0], m.perhaps[1:]
		m.gone++
	}
	return at
}

// count is how many points are still to be met.
func (m *matrix) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.wanted["up"]) + len(m.wanted["down"])
}

// checkMet holds what was not met against the journal: only a step without a
// handle has no points around one.
func (m *matrix) checkMet(t *testing.T) {
	t.Helper()
	for verb, points := range m.wanted {
		for _, at := range points {
			step, point, _ := strings.Cut(at, ":")
			if !slices.Contains(handlePoints, phase.Point(point)) || m.handles[verb][step] {
				t.Errorf("%s was never killed at %s", verb, at)
			}
		}
	}
}

// nothingTwice looks for more than a whole cluster is made of.
func (m *matrix) nothingTwice(t *testing.T, w *testWorld, after string) {
	t.Helper()
	for what, n := range inventory(w.residue(t), "") {
		if made(what) && n > m.whole[what] {
			t.Errorf("after a kill of %s: %d times %s, want %d", after, n, what, m.whole[what])
		}
	}
}

// isWhole waits until the world has what it has after an undisturbed up, and
// nothing else: a load balancer that was told of changes may still end.
func (m *matrix) isWhole(t *testing.T, w *testWorld) {
	t.Helper()
	diff := "not looked at"
	for deadline := time.Now().Add(10 * time.Second); diff != "" && time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		diff = cmp.Diff(m.whole, inventory(w.residue(t), w.ready.Env["SLIPWAY_HOME"]))
	}
	if diff != "" {
		t.Errorf("what there is when up has ended (-want +got):\n%s", diff)
	}
}

// inventory counts things by kind: machines by name, files by path below home,
// processes by program, what has an id of its own without it.
func inventory(residue []string, home string) map[string]int {
	count := map[string]int{}
	for _, line := range residue {
		words := strings.Fields(line)
		switch words[0] {
		case "VM":
			count["VM"]++
			if len(words) == 5 { // it has its name, unless it is being made
				count["VM "+words[2]]++
			}
		case "process":
			count["process "+filepath.Base(append(words, "that ends")[2])]++
		case "file":
			count["file "+strings.TrimPrefix(words[1], home)]++
		case "socket":
			count[line]++
		default:
			count[words[0]]++ // ISO, cluster, infra, task
		}
	}
	return count
}

// made reports whether a thing is one that exists at most once at any time.
func made(what string) bool {
	return strings.HasPrefix(what, "VM ") || slices.Contains([]string{"VM", "ISO", "cluster", "infra"}, what)
}

func (w *testWorld) residue(t *testing.T) []string {
	t.Helper()
	residue, err := rehearsal.NewControl(w.dir).Residue(context.Background(), nil, []string{w.ready.Env["SLIPWAY_HOME"]})
	if err != nil {
		t.Fatal(err)
	}
	return residue
}
