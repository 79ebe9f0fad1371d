package provision

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/spec"
	"github.com/slipway-project/slipway/provision/state/filestore"
)

// The deterministic half of the engine is all of it between preflight and the
// installed cluster: graph, limits, retries, budgets, journal, watching,
// ejecting. What is left out speaks to sockets and processes.

// simulated is a cluster whose world is a script.
type simulated struct {
	*run
	script *script
	log    eventLog
}

type eventLog struct {
	mu   sync.Mutex
	seen []event.Event
}

func (l *eventLog) Emit(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, e)
}

// simulate makes a cluster of n nodes, of which at most three are control
// plane.
func simulate(home, name string, n int, seed uint64) *simulated {
	c := spec.Cluster{Name: name, Domain: "lab.test", Services: spec.Services{Address: netip.MustParseAddr("192.0.2.210")}}
	var nodes []string
	for i := range n {
		node := spec.Node{Name: fmt.Sprintf("control-%d", i), Role: spec.ControlPlane, CPUs: 8, Memory: 16384, Disk: 250,
			Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)}), MAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(i)}, UUID: uuid.UUID{byte(i)}}
		if i > 2 {
			node.Name, node.Role = fmt.Sprintf("worker-%d", i-3), spec.Worker
		}
		node.Full = node.Name + "." + c.FullName()
		c.Nodes, nodes = append(c.Nodes, node), append(nodes, node.Name)
	}
	s := &simulated{script: newScript(c.FullName(), nodes, seed)}
	p := &Project{Options: Options{Home: home}, cluster: c, store: filestore.New(home),
		provider: s.script, installer: engine{s.script}}
	p.Sink = event.Clock(&s.log)
	p.learned = func() map[string]netip.Addr { return nil }
	s.run = newRun(p, newLedger(c.FullName(), name))
	return s
}

// steps are those of the deterministic half.
func (s *simulated) steps() []phase.Step {
	steps, boots := s.making()
	return append(steps, s.installing(boots)[:2]...)
}

func (s *simulated) Run(ctx context.Context) error { return s.graph(s.steps()).Run(ctx) }

// lines is the log in one order: that of time and, within an instant, that of
// phases, steps and nodes. What one step says in an instant keeps its order.
func (s *simulated) lines() (lines []string) {
	slices.SortStableFunc(s.log.seen, func(a, b event.Event) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Phase, b.Phase), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Node, b.Node))
	})
	for _, e := range s.log.seen {
		lines = append(lines, fmt.Sprintf("%+v", e))
	}
	return lines
}

// simulateMany runs clusters side by side, with passing faults, and returns
// them and the virtual time the slowest took.
func simulateMany(t *testing.T, clusters int, seed uint64) (all []*simulated, slowest time.Duration) {
	home := t.TempDir()
	all = make([]*simulated, clusters)
	took := make([]time.Duration, bubbles)
	t.Run("bubbles", func(t *testing.T) {
		for part := range bubbles {
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { took[part] = simulatePart(t, home, all, part, seed) })
			})
		}
	})
	return all, slices.Max(took)
}

// bubbles is how many virtual clocks there are: no cluster knows of another, so
// that each processor can have one.
const bubbles = 2

// simulatePart runs every bubbles-th cluster, and tells how long the slowest took.
func simulatePart(t *testing.T, home string, all []*simulated, part int, seed uint64) time.Duration {
	began := time.Now()
	var group sync.WaitGroup
	for i := part; i < len(all); i += bubbles {
		all[i] = simulate(home, fmt.Sprintf("c%04d", i), 5+8*(i%10/9), seed) // one in ten has 3+10 nodes
		all[i].script.faults = 0.03
		group.Go(func() {
			if err := all[i].Run(t.Context()); err != nil {
				t.Errorf("%s: %v", all[i].cluster.FullName(), err)
			}
		})
	}
	group.Wait()
	return time.Since(began)
}

// hashOf is that of all that simulated clusters told.
func hashOf(all []*simulated, _ time.Duration) [sha256.Size]byte {
	var told strings.Builder
	for _, s := range all {
		for _, line := range s.lines() {
			told.WriteString(line + "\n")
		}
	}
	return sha256.Sum256([]byte(told.String()))
}

// The same seed tells the same story, word by word and instant by instant.
func TestSimulationFollowsFromItsSeed(t *testing.T) {
	first, again := hashOf(simulateMany(t, 30, 1)), hashOf(simulateMany(t, 30, 1))
	if first != again {
		t.Error("two runs of one seed differ")
	}
	if other := hashOf(simulateMany(t, 30, 2)); first == other {
		t.Error("two seeds tell the same story")
	}
}

// Each cluster takes the 35 to 45 minutes of its script, whatever fails in
// passing and however many others there are.
func TestSimulationOfAThousandClusters(t *testing.T) {
	_, slowest := simulateMany(t, many, 1)
	if slowest < 35*time.Minute || slowest > 55*time.Minute {
		t.Errorf("the slowest cluster took %v of virtual time", slowest)
	}
}

// A thousand clusters, 45 virtual minutes each: the budget is 10 s of two
// cores. Processor time is told too, for a machine that others use.
func BenchmarkSimulationOfAThousandClusters(b *testing.B) {
	began := processorTime(b)
	for b.Loop() {
		ok := testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{
			{Name: b.Name(), F: func(t *testing.T) { simulateMany(t, many, 1) }}})
		if !ok {
			b.Fatal("a cluster failed")
		}
	}
	b.ReportMetric((processorTime(b)-began).Seconds()/float64(b.N), "cpu-s/op")
}

func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
