package provision

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"os"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/state"
)

// A run is a project that has taken its cluster.
type run struct {
	*Project
	journal state.Journal
	signer  ssh.Signer
	keys    []string    // authorized_keys lines of the cluster's own key
	hosts   *sshx.Book  // host keys, by node and system
	whole   bool        // every planned node had joined when the run began
	report  kube.Report // what the join check saw last

	mu     sync.Mutex
	found  map[string]provider.Machine // by node, as last seen
	stages map[string]string           // by node, as last told
	warned map[string]bool
}

// take opens the journal for a run.
func (p *Project) take(ctx context.Context, verb string) (*run, error) {
	journal, err := p.store.Open(ctx, p.cluster.FullName(), holder(verb))
	if err != nil {
		return nil, err
	}
	atomicfile.Sweep(p.dir(), p.file("credentials"))
	taken := *p
	taken.learned = func() map[string]netip.Addr { return journal.Document().Learned }
	return newRun(&taken, journal), nil
}

func newRun(p *Project, journal state.Journal) *run {
	return &run{Project: p, journal: journal, found: map[string]provider.Machine{},
		stages: map[string]string{}, warned: map[string]bool{}}
}

// close gives the cluster up. A cluster of which nothing was made leaves no
// state behind.
func (r *run) close() {
	if r.journal.Document().ID == "" {
		_ = r.journal.Remove()
		return
	}
	_ = r.journal.Close()
}

// mark is the cluster's ownership mark.
func (r *run) mark() provider.Mark {
	return provider.Mark{Cluster: r.cluster.FullName(), ID: r.journal.Document().ID}
}

// look finds the machines that carry the cluster's name.
func (r *run) look(ctx context.Context) error {
	ms, err := r.provider.Find(ctx, provider.Mark{Cluster: r.cluster.FullName()})
	if err != nil {
		return fmt.Errorf("look for machines of %s: %w", r.cluster.FullName(), err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = map[string]provider.Machine{}
	for _, m := range ms {
		r.found[m.Node] = m
	}
	return nil
}

func (r *run) machine(node string) (provider.Machine, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.found[node]
	return m, ok
}

func (r *run) saw(m provider.Machine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found[m.Node] = m
}

// identify gives the cluster its id before all else: the recorded one, that of
// machines found by name when the state was lost, or a new one. What was found
// is recorded too, so that it is adopted and not made again.
func (r *run) identify() error {
	if err := r.name(); err != nil {
		return err
	}
	known := r.journal.Document().Machines
	for node, m := range maps.All(r.found) {
		if _, ok := known[node]; ok {
			continue
		}
		if err := r.journal.Append(state.Record{Kind: state.Chose, Machine: &m}); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) name() error {
	if r.journal.Document().ID != "" {
		return r.renew()
	}
	id := uuid.NewString()
	for _, m := range r.found {
		id = m.Mark.ID
	}
	if err := r.journal.Append(state.Record{Kind: state.Created, Cluster: r.cluster.FullName(), ID: id}); err != nil {
		return err
	}
	return r.renew()
}

// loadKey reads or makes the cluster's own SSH key, and opens the book of host
// keys.
func (r *run) loadKey() error {
	if err := os.MkdirAll(r.file("credentials"), 0o700); err != nil {
		return err
	}
	signer, line, err := sshx.LoadKey(r.SSHKey(), "slipway@"+r.cluster.FullName())
	if err != nil {
		return err
	}
	r.signer, r.keys = signer, []string{line}
	r.hosts, err = sshx.OpenBook(r.file("host_keys.json"))
	return err
}

func (r *run) graph(steps []phase.Step) *phase.Graph {
	return &phase.Graph{Steps: steps, Journal: r.journal, Sink: r.Sink, Pace: r.Pace, Crash: r.Crash,
		Limits: map[string]int{resourceProvider: maxMachinesAtOnce}, Seed: seed(r.journal.Document().ID)}
}

// seed is that of the cluster's pauses.
func seed(id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return h.Sum64()
}
