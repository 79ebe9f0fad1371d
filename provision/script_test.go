package provision

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/state"
)

// A script plays provider and installer at once, without any wire: how long
// something takes and what fails at which try follow from its seed alone.
type script struct {
	cluster string
	nodes   []string
	seed    uint64
	faults  float64          // how often a call fails in passing
	broken  map[string]error // calls that always fail
	stuck   string           // the node that stays silent, or "install"
	hangs   time.Duration    // how long the installation takes in all; 0: 35 to 40 minutes
	givesUp int              // how often its preparation is given up after 5 minutes

	mu       sync.Mutex
	tries    map[string]int
	machines map[string]provider.Machine
	on       map[string]time.Time // since when a machine runs
	begun    time.Time            // of the installation
}

func newScript(cluster string, nodes []string, seed uint64) *script {
	return &script{cluster: cluster, nodes: nodes, seed: seed, tries: map[string]int{}, broken: map[string]error{},
		machines: map[string]provider.Machine{}, on: map[string]time.Time{}}
}

// a passing fault, as an API has it that is busy.
type busy struct{ what string }

func (b busy) Error() string { return b.what + ": busy" }
func (busy) Transient() bool { return true }

// draw is a number from 0 to 1 that belongs to the nth time of something.
func (s *script) draw(what string, n int) float64 {
	h := s.seed*0x9e3779b97f4a7c15 ^ uint64(n)<<32
	for _, word := range []string{s.cluster, what} {
		for i := range len(word) {
			h = (h ^ uint64(word[i])) * 1099511628211 // FNV-1a
		}
		h *= 31
	}
	h ^= h >> 31
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 29
	return float64(h>>12) / (1 << 52)
}

// act takes a while, and then fails or not.
func (s *script) act(ctx context.Context, what string, least, most time.Duration) error {
	s.mu.Lock()
	try := s.tries[what] + 1
	s.tries[what] = try
	s.mu.Unlock()
	if most > 0 {
		select {
		case <-time.After(least + time.Duration(s.draw(what, try)*float64(most-least))):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	name, _, _ := strings.Cut(what, " ")
	if err := s.broken[name]; err != nil {
		return err
	}
	if s.draw(what, -try) < s.faults {
		return busy{what}
	}
	return nil
}

func (s *script) Caps() provider.Caps { return provider.Caps{Creates: true, Media: true} }
func (s *script) Check(context.Context, provider.Request) []provider.Problem {
	return nil
}

func (s *script) Find(context.Context, provider.Mark) (all []provider.Machine, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.machines)) {
		all = append(all, s.machines[name])
	}
	return all, s.broken["find"]
}

func (s *script) Allocate(_ context.Context, m provider.Machine, avoid []string) (provider.Machine, error) {
	m.ID, m.Place = fmt.Sprint(20000+len(avoid)), "pve"
	return m, nil
}

func (s *script) Ensure(ctx context.Context, m provider.Machine) (provider.Machine, error) {
	if err := s.act(ctx, "ensure "+m.Node, time.Second, 4*time.Second); err != nil {
		return m, err
	}
	if err := provider.Record(ctx, "UPID:"+m.Node); err != nil {
		return m, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m.Power = provider.PowerOff
	s.machines[m.Node] = m
	return m, nil
}

func (s *script) Release(ctx context.Context, m provider.Machine) error {
	if err := s.act(ctx, "release "+m.Node, time.Second, 2*time.Second); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.machines, m.Node)
	return nil
}

func (s *script) PowerOn(ctx context.Context, m provider.Machine) error {
	if err := s.act(ctx, "on "+m.Node, time.Second, 3*time.Second); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on[m.Node] = time.Now()
	return nil
}

func (s *script) PowerOff(ctx context.Context, m provider.Machine) error {
	return s.act(ctx, "off "+m.Node, time.Second, time.Second)
}

func (s *script) Insert(ctx context.Context, m provider.Machine, _ string) error {
	return s.act(ctx, "insert "+m.Node, 0, time.Second)
}

func (s *script) Eject(ctx context.Context, m provider.Machine) error {
	return s.act(ctx, "eject "+m.Node, 0, time.Second)
}

func (s *script) Put(ctx context.Context, img provider.Image, _ []string, progress func(int64)) (string, error) {
	err := s.act(ctx, "put", 20*time.Second, time.Minute)
	progress(img.Size)
	return "local:iso/" + img.Name, err
}

func (s *script) Drop(context.Context, string) error { return nil }
func (s *script) Images(context.Context, provider.Mark) ([]string, error) {
	return nil, nil
}

// An engine is the installer's side of a script.
type engine struct{ *script }

func (e engine) Check(context.Context, installer.Cluster) []provider.Problem { return nil }

func (e engine) Register(ctx context.Context, _ installer.Cluster) (installer.Ref, error) {
	return installer.Ref{ClusterID: "c", InfraEnvID: "i"}, e.act(ctx, "register", time.Second, 3*time.Second)
}

func (e engine) Media(ctx context.Context, _ installer.Ref, w io.Writer, progress func(got, total int64)) (int64, error) {
	if err := e.act(ctx, "media", 5*time.Second, 20*time.Second); err != nil {
		return 0, err
	}
	n, err := io.WriteString(w, "image of "+e.cluster)
	progress(int64(n), int64(n))
	return int64(n), err
}

func (e engine) Install(ctx context.Context, _ installer.Ref) error {
	if err := e.act(ctx, "install", time.Second, time.Second); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.begun.IsZero() {
		e.begun = time.Now()
	}
	return nil
}

func (e engine) Credentials(ctx context.Context, _ installer.Cluster, _ installer.Ref) (installer.Credentials, error) {
	return installer.Credentials{}, e.act(ctx, "credentials", 0, time.Second)
}

func (e engine) Find(context.Context, provider.Mark) ([]installer.Ref, error) { return nil, nil }

func (e engine) Remove(ctx context.Context, _ provider.Mark) error {
	return e.act(ctx, "remove", 0, time.Second)
}

// Poll shows how far the hosts are by the time that has passed.
func (e engine) Look(ctx context.Context, c installer.Cluster, ref installer.Ref) (installer.Progress, error) {
	return e.Poll(ctx, c, ref)
}

func (e engine) Poll(ctx context.Context, c installer.Cluster, _ installer.Ref) (installer.Progress, error) {
	if err := e.act(ctx, "poll", 0, 0); err != nil {
		return installer.Progress{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p := installer.Progress{State: installer.Ready, Info: "as the script has it", Hosts: make([]installer.HostProgress, 0, len(c.Hosts))}
	for _, h := range c.Hosts {
		p.Hosts = append(p.Hosts, e.host(h.Node))
		if !p.Hosts[len(p.Hosts)-1].Fit {
			p.State = installer.Discovering
		}
	}
	if e.givesUp > 0 && !e.begun.IsZero() && time.Since(e.begun) > 5*time.Minute {
		e.begun = time.Time{}
		e.givesUp--
	}
	if e.begun.IsZero() {
		return p, nil
	}
	p.State = installer.Installing
	switch done := e.done(); {
	case e.stuck == "install" && done > 0.2:
	case done >= 1:
		p.State, p.Percent = installer.Installed, 100
	default:
		p.Percent = int(done*20) * 5
	}
	return p, e.broken["failed"]
}

// done is how much of the installation is behind, from 0 to 1.
func (e engine) done() float64 {
	took := e.hangs
	if took == 0 {
		took = 35*time.Minute + time.Duration(e.draw("takes", 0)*float64(5*time.Minute))
	}
	return min(1, time.Since(e.begun).Seconds()/took.Seconds())
}

func (e engine) host(node string) installer.HostProgress {
	h := installer.HostProgress{Node: node}
	on := e.on[node]
	if on.IsZero() || node == e.stuck {
		return h
	}
	boots := time.Minute
	if e.begun.IsZero() {
		boots += time.Duration(e.draw(node, -1) * float64(2*time.Minute))
	}
	h.Seen = time.Since(on) > boots
	h.Fit = h.Seen && time.Since(on) > boots+time.Minute
	h.State = "known"
	if e.begun.IsZero() || e.stuck == "install" {
		return h
	}
	part := e.done() * (1 + e.draw(node, -2)/2)
	h.State, h.Stage, h.Percent = "installing", "Writing image to disk", min(100, int(part*20)*5)
	if part > 0.5 {
		h.Rebooted, h.Stage = true, "Joined"
	}
	h.Done = part > 0.9
	return h
}

// ledger is a journal without a disk; each append may fail.
type ledger struct {
	mu   sync.Mutex
	doc  state.Document
	room int // records it takes before it is full; negative: any number
	full error
	dead error
}

func newLedger(cluster, id string) *ledger {
	l := &ledger{room: -1}
	_ = l.Append(state.Record{Kind: state.Created, Cluster: cluster, ID: id})
	return l
}

func (l *ledger) Append(r state.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead == nil && l.room == 0 {
		l.dead = l.full
	}
	if l.dead != nil {
		return l.dead
	}
	l.room--
	r.Seq, r.Time = l.doc.Seq+1, time.Now()
	l.doc = l.doc.Fold(r)
	return nil
}

func (l *ledger) Document() state.Document {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.doc
}

func (l *ledger) Describe(string) {}
func (l *ledger) Remove() error   { return nil }
func (l *ledger) Close() error    { return nil }
