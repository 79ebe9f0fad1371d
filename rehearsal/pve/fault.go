package pve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A FaultKind names something that goes wrong.
type FaultKind string

// The kinds of faults. Those about requests strike requests that match
// Method, Path and Node; those about tasks strike tasks that match Task, ID
// and Node; the others say themselves what they look at. Those about a node
// strike at once, or, with Method, Path or Skip, when such a request arrives
// anywhere, and then once unless Times says otherwise.
const (
	LostReply           FaultKind = "lost-reply"           // the request is carried out, its connection dropped
	DroppedCall         FaultKind = "dropped-call"         // the connection is dropped before anything is done
	StatusReply         FaultKind = "status"               // answered with Status and Text instead of being carried out
	SlowReply           FaultKind = "slow-reply"           // carried out Delay later
	UploadAborted       FaultKind = "upload-aborted"       // the connection is dropped after Bytes of the body
	TaskFails           FaultKind = "task-fails"           // the task fails half-way with Text
	TaskSlow            FaultKind = "task-slow"            // each of the task's steps takes Delay longer
	TaskWarns           FaultKind = "task-warns"           // the task ends with "WARNINGS: 1"
	TaskDies            FaultKind = "task-dies"            // the task ends without a status, as by kill -9
	LockTimeout         FaultKind = "lock-timeout"         // the lock of VM ID, or of Storage, is not to be had
	StorageFull         FaultKind = "storage-full"         // Storage has no room for disks and images
	TagsRefused         FaultKind = "tags-refused"         // users may not choose tags (user-tag-access)
	MessageInReason     FaultKind = "message-in-reason"    // errors have no message in their body, as before 8.4
	ClockSkew           FaultKind = "clock-skew"           // the servers' clocks are Delay ahead
	ProxyRestart        FaultKind = "proxy-restart"        // pveproxy of Node cuts connections and refuses new ones for Delay
	CertificateRotation FaultKind = "certificate-rotation" // Node answers with a new certificate
	NodeOffline         FaultKind = "node-offline"         // Node is without power, for Delay or until the fault is cleared
)

// A Fault is one thing that goes wrong. Empty selectors match everything.
type Fault struct {
	Kind    FaultKind
	Method  string        // "POST"
	Path    string        // template: "/nodes/{node}/qemu"
	Node    string        // of the path, else the one that answers; default for kinds about a node: the first
	Task    string        // kind of task: "qmcreate"
	ID      string        // of the task or lock: "100"
	Storage string        //
	Status  int           // 500 to 504, 595, 596, 599
	Text    string        // default: what a real server says
	Bytes   int64         //
	Delay   time.Duration // divided by Speed, but for the clock's
	Skip    int           // as many matching events are let pass first
	Times   int           // strikes as often; 0: until it is cleared
}

// where says what a kind of fault strikes.
var where = map[FaultKind]string{
	LostReply: "request", DroppedCall: "request", StatusReply: "request", SlowReply: "request", UploadAborted: "request",
	TaskFails: "task", TaskSlow: "task", TaskWarns: "task", TaskDies: "task", LockTimeout: "lock", StorageFull: "storage", TagsRefused: "tags",
	MessageInReason: "reply", ClockSkew: "clock",
	ProxyRestart: "node", CertificateRotation: "node", NodeOffline: "node",
}

// FaultKinds lists all kinds in order.
func FaultKinds() []FaultKind {
	var kinds []FaultKind
	for kind := range where {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

func (f Fault) validate() error {
	switch {
	case where[f.Kind] == "":
		return fmt.Errorf("fault %q: no such kind", f.Kind)
	case f.Kind == StatusReply && (f.Status < 500 || f.Status > 599):
		return fmt.Errorf("fault %s: status %d is no server's error", f.Kind, f.Status)
	case (f.Kind == SlowReply || f.Kind == TaskSlow || f.Kind == ClockSkew) && f.Delay == 0:
		return fmt.Errorf("fault %s: needs a delay", f.Kind)
	case f.Times < 0 || f.Skip < 0 || f.Bytes < 0 || f.Delay < 0 && f.Kind != ClockSkew:
		return fmt.Errorf("fault %s: negative number", f.Kind)
	}
	return nil
}

func (f Fault) matches(at Fault) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	return f.Kind == at.Kind && same(f.Method, at.Method) && same(f.Path, at.Path) && (same(f.Node, at.Node) || f.ofNode()) &&
		same(f.Task, at.Task) && same(f.ID, at.ID) && same(f.Storage, at.Storage)
}

// ofNode says whether f is about a node, of which Node is the name.
func (f Fault) ofNode() bool { return where[f.Kind] == "node" }

// waits says whether f, which is about a node, waits for a request.
func (f Fault) waits() bool { return f.Method != "" || f.Path != "" || f.Skip > 0 }

// An Injection is a fault that is in effect, or was.
type Injection struct {
	srv   *Server
	fault Fault

	// guarded by faults.mu
	skip, left, hits int
	cleared          bool
}

// Hits says how often the fault has struck.
func (i *Injection) Hits() int {
	i.srv.faults.mu.Lock()
	defer i.srv.faults.mu.Unlock()
	return i.hits
}

// Fault is what was injected, with the node that it is about.
func (i *Injection) Fault() Fault { return i.fault }

// Clear ends the fault. A node that it took away comes back. Repeating it
// changes nothing.
func (i *Injection) Clear() {
	i.srv.faults.mu.Lock()
	again := i.cleared
	i.cleared = true
	i.srv.faults.active = slices.DeleteFunc(i.srv.faults.active, func(other *Injection) bool { return other == i })
	i.srv.faults.mu.Unlock()
	if !again && i.fault.Kind == NodeOffline {
		i.srv.SetOffline(i.fault.Node, false)
	}
}

// faults are those in effect, oldest first.
type faults struct {
	mu     sync.Mutex
	active []*Injection
}

// Inject puts a fault into effect. An error says what is wrong with it.
func (s *Server) Inject(f Fault) (*Injection, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	if f.ofNode() {
		f.Node, f.Times = cmp.Or(f.Node, s.cfg.Nodes[0]), cmp.Or(f.Times, 1)
		if s.hosts[f.Node] == nil {
			return nil, fmt.Errorf("fault %s: node %s does not exist", f.Kind, f.Node)
		}
	}
	i := &Injection{srv: s, fault: f, skip: f.Skip, left: f.Times}
	if f.ofNode() && !f.waits() {
		i.hits = 1
		return i, s.strikeNode(i)
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.active = append(s.faults.active, i)
	return i, nil
}

func (s *Server) injectConfigured() error {
	for _, f := range s.cfg.Faults {
		if _, err := s.Inject(f); err != nil {
			return err
		}
	}
	return nil
}

func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active = nil
}

// strike says whether a fault of the kind at.Kind strikes there, and uses it
// up by one.
func (s *Server) strike(at Fault) (Fault, bool) {
	if i := s.struck(at); i != nil {
		return i.fault, true
	}
	return Fault{}, false
}

// struck is the fault that strikes there, nil when none does.
func (s *Server) struck(at Fault) *Injection {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for n, i := range s.faults.active {
		if !i.fault.matches(at) {
			continue
		}
		if i.skip > 0 {
			i.skip--
			continue
		}
		i.hits++
		if i.left--; i.left == 0 {
			s.faults.active = slices.Delete(s.faults.active, n, n+1)
		}
		return i
	}
	return nil
}

// String is the fault as [ParseFault] reads it.
func (f Fault) String() string {
	parts := []string{string(f.Kind)}
	for _, field := range faultFields {
		if text := field.get(f); text != "" && text != "0" && text != "0s" {
			parts = append(parts, field.name+"="+text)
		}
	}
	return strings.Join(parts, ",")
}
