package pve

import (
	"maps"
	"os"
	"slices"
	"time"
)

// P1 are the durations of the profile that benchmarks use: a request takes
// 300 ms, one in a hundred 1.2 s; creating a VM 2 s, of which 400 ms for its
// disk under the storage's lock; starting it 2 s.
func P1() Durations {
	return Durations{Request: 300 * time.Millisecond, SlowRequest: 1200 * time.Millisecond,
		Create: 1600 * time.Millisecond, Allocate: 400 * time.Millisecond, Start: 2 * time.Second}.withDefaults()
}

// An Operation is what a load does to each VM.
type Operation string

// The operations: one request each, and its task if it has one.
const (
	OpCreate    Operation = "create"
	OpConfigure Operation = "configure" // PUT of the configuration, no task
	OpStart     Operation = "start"
	OpStop      Operation = "stop"
	OpDestroy   Operation = "destroy"
)

// A Load is what VMs go through, each on its own and in this order.
type Load struct {
	VMs        int
	Operations []Operation
	Disks      int    // of each VM; 0: one
	Storage    string // of the disks; "": one of each node's own
}

// A Bound says how fast a load can be carried out at best, whoever does it
// and without looking at tasks at all. Durations are divided by Speed.
type Bound struct {
	Chain   time.Duration // of one VM: its requests and tasks one after another
	Workers time.Duration // of a node, which take the requests of its share of the VMs
	Locks   time.Duration // of a storage, in which disks are made one after another
}

// Max is the lower bound of the wall time.
func (b Bound) Max() time.Duration { return max(b.Chain, b.Workers, b.Locks) }

// LowerBound computes it for a load that is spread evenly over the nodes.
func (s *Server) LowerBound(l Load) Bound {
	d, nodes := s.cfg.Durations, len(s.cfg.Nodes)
	disks := max(l.Disks, 1)
	onNode, onLock := ceil(l.VMs, nodes), ceil(l.VMs, nodes)
	if store, err := s.storage(l.Storage); err == nil && store.Shared {
		onLock = l.VMs
	}
	var b Bound
	for _, op := range l.Operations {
		b.Chain += d.Request + s.shortest(d.of(op, disks))
	}
	if len(l.Operations) == 0 || l.VMs == 0 {
		return Bound{}
	}
	last := l.Operations[len(l.Operations)-1]
	b.Workers = d.Request*time.Duration(ceil(onNode*len(l.Operations), workers)) + s.shortest(d.of(last, disks))
	if slices.Contains(l.Operations, OpCreate) {
		b.Locks = b.Chain + s.shortest(d.Allocate)*time.Duration((onLock-1)*disks)
	}
	return Bound{s.cfg.Speed.Scale(b.Chain), s.cfg.Speed.Scale(b.Workers), s.cfg.Speed.Scale(b.Locks)}
}

// of is how long the task of an operation takes.
func (d Durations) of(op Operation, disks int) time.Duration {
	return map[Operation]time.Duration{OpCreate: d.Create + d.Allocate*time.Duration(disks),
		OpStart: d.Start, OpStop: d.Stop, OpDestroy: d.Destroy}[op]
}

// shortest is what jitter makes of d at best.
func (s *Server) shortest(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - s.cfg.Jitter))
}

func ceil(n, of int) int { return (n + of - 1) / of }

// Requests returns how many requests were made since the start or the last
// Reset, by method and path template: "GET /nodes/{node}/qemu". Those that
// were lost on the way, refused or failed count, too; unknown paths and
// unauthorised callers do not.
func (s *Server) Requests() map[string]int {
	sum := map[string]int{}
	for _, node := range s.cfg.Nodes {
		for what, n := range s.NodeRequests(node) {
			sum[what] += n
		}
	}
	return sum
}

// NodeRequests are those of Requests that came in at a node's own address.
func (s *Server) NodeRequests(node string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.requests[node])
}

func (s *Server) countRequest(entry, method, template string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests[entry] == nil {
		s.requests[entry] = map[string]int{}
	}
	s.requests[entry][method+" "+template]++
}

// Reset makes the datacentre as New made it, but for certificates, rights and
// addresses: tasks are aborted and awaited, then VMs, disks, images, task
// logs, faults and counters are gone and all nodes are there. The
// configured faults are in effect again.
func (s *Server) Reset() error {
	s.faults.clear()
	s.abortAll()
	for _, id := range s.takeVMs() {
		s.cfg.Hypervisor.Destroy(id)
	}
	for _, path := range s.Images() {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for _, node := range s.cfg.Nodes {
		if err := s.SetOffline(node, false); err != nil {
			return err
		}
	}
	return s.injectConfigured()
}

// takeVMs forgets all there is in memory and returns the IDs of the VMs.
func (s *Server) takeVMs() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := slices.Sorted(maps.Keys(s.vms))
	clear(s.vms)
	clear(s.volumes)
	clear(s.requests)
	s.tasks = nil
	return ids
}

func (s *Server) abortAll() {
	s.mu.Lock()
	tasks := slices.Clone(s.tasks)
	s.mu.Unlock()
	for _, t := range tasks {
		t.cancel(errKilled)
		<-t.done
	}
}
