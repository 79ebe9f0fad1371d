package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Paths of a wire.
const (
	etcdPath   = "/etcd"
	reportPath = "/report"
)

// Operations on an etcd over a wire.
const (
	opGet  = "get"
	opList = "list"
	opSwap = "swap"
)

// An etcdCall is an operation on an etcd, as it is sent over a wire.
type etcdCall struct {
	Op           string `json:"op"`
	Installation string `json:"installation"`
	Resource     string `json:"resource"` // qualified
	Object       object `json:"object"`   // of which get needs namespace and name
	Was          string `json:"was,omitempty"`
}

// An etcdReply is what came of it.
type etcdReply struct {
	Object   object   `json:"object,omitzero"`
	OK       bool     `json:"ok,omitempty"`
	Objects  []object `json:"objects,omitempty"`
	Revision string   `json:"revision,omitempty"`
}

// Headers of everything that is sent over a wire: who says it.
const (
	hostHeader = "Host-Id"
	bootHeader = "Boot-Id" // another one each time the host boots
)

// Handler is the site's end of wires: HTTP with JSON bodies. report is called
// with what the hosts at their other ends say of themselves; their boots are
// counted here.
func (s *Site) Handler(report func(hostID string, state HostState)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+etcdPath, func(w http.ResponseWriter, r *http.Request) {
		var call etcdCall
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&call); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply, err := s.operate(call)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, http.StatusOK, reply)
	})
	mux.HandleFunc("POST "+reportPath, func(w http.ResponseWriter, r *http.Request) {
		var state HostState
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&state); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		id := r.Header.Get(hostHeader)
		state.Boots = s.heard(id).count()
		report(id, state)
		writeJSON(w, http.StatusOK, time.Now())
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hear(r.Header.Get(hostHeader), r.Header.Get(bootHeader))
		mux.ServeHTTP(w, r)
	})
}

// hear notices that a host has booted again: before it does anything else,
// what ran on it is known to run no more, however it ended.
func (s *Site) hear(hostID, bootID string) {
	h := s.heard(hostID)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.boot != bootID {
		h.boot, h.boots = bootID, h.boots+1
		s.Lost(hostID)
	}
}

// A heard is a host that has spoken over a wire.
type heard struct {
	mu    sync.Mutex
	boot  string // the id of its last boot
	boots int
}

func (s *Site) heard(hostID string) *heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts[hostID] == nil {
		s.hosts[hostID] = new(heard)
	}
	return s.hosts[hostID]
}

func (h *heard) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.boots
}

func (s *Site) operate(call etcdCall) (reply etcdReply, err error) {
	i := slices.IndexFunc(resources, func(r *resource) bool { return r.qualified() == call.Resource })
	r := factsOf
	if i >= 0 {
		r = resources[i]
	} else if call.Resource != factsOf.qualified() {
		return reply, fmt.Errorf("resource %q: unknown", call.Resource)
	}
	e, of := s.etcd(call.Installation), call.Object.Metadata
	switch call.Op {
	case opGet:
		reply.Object, reply.OK = e.get(r, of.Namespace, of.Name)
	case opList:
		reply.Objects, reply.Revision = e.list(r)
	case opSwap:
		reply.Object, reply.OK = e.swap(r, call.Object, call.Was)
	default:
		return reply, fmt.Errorf("operation %q: unknown", call.Op)
	}
	return reply, nil
}

// A Wire is a host's connection to the [Site] of its World, where the host is
// not in the World's process. It connects when something is said, so that it
// may be there before the host has a network. It is safe for concurrent use.
type Wire struct {
	url        string
	host, boot string
	http       *http.Client
	lost       func(error)
}

// Times of a wire, which is as real as the machine at its end.
const (
	wireTime  = 10 * time.Second // for one answer
	wireRetry = 200 * time.Millisecond
	wireLost  = time.Minute // without an answer
)

// NewWire returns the wire of a host that has just booted to the site that
// answers at address. When what the cluster shares was asked for in vain for a
// minute, it calls lost, which should end the host, and goes on trying.
func NewWire(address string, hostID uuid.UUID, lost func(error)) *Wire {
	dialer := net.Dialer{Timeout: wireTime}
	client := &http.Client{Timeout: wireTime, Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 4}}
	return &Wire{"http://" + address, hostID.String(), uuid.NewString(), client, lost}
}

// Report tells what the host does, and returns the World's time.
func (w *Wire) Report(ctx context.Context, state HostState) (now time.Time, err error) {
	err = w.post(ctx, reportPath, state, &now)
	return now, err
}

func (w *Wire) post(ctx context.Context, path string, in, out any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+path, bytes.NewReader(raw(in)))
	if err != nil {
		return err
	}
	request.Header.Set(hostHeader, w.host)
	request.Header.Set(bootHeader, w.boot)
	reply, err := w.http.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	data, err := io.ReadAll(io.LimitReader(reply.Body, maxReply))
	if err != nil {
		return err
	}
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", reply.Status, bytes.TrimSpace(data))
	}
	return json.Unmarshal(data, out)
}

func (w *Wire) etcd(installation string) etcd { return &remote{wire: w, installation: installation} }

// A remote is an etcd at the other end of a wire. Like the disk of a machine,
// it fails with the machine only.
type remote struct {
	wire         *Wire
	installation string

	mu    sync.Mutex
	facts object // as they were at asked
	asked time.Time
}

// factsTime is how long facts are good for: a host asks for them all the time,
// and a call costs an emulated one a millisecond.
const factsTime = 200 * time.Millisecond

func (e *remote) get(r *resource, namespace, name string) (o object, ok bool) {
	if r != factsOf {
		return e.fetch(r, namespace, name)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.asked) < factsTime {
		return e.facts, true
	}
	if o, ok = e.fetch(r, namespace, name); ok {
		e.facts, e.asked = o, time.Now()
	}
	return o, ok
}

// forget has the facts asked for again.
func (e *remote) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = time.Time{}
}

func (e *remote) fetch(r *resource, namespace, name string) (o object, ok bool) {
	reply := e.call(etcdCall{Op: opGet, Object: object{Metadata: metadata{Namespace: namespace, Name: name}}}, r)
	return reply.Object, reply.OK
}

func (e *remote) list(r *resource) (objects []object, revision string) {
	reply := e.call(etcdCall{Op: opList}, r)
	return reply.Objects, reply.Revision
}

// swap takes an answer that was lost, of a write that was not, for another
// host's write, which its callers look at and go on from.
func (e *remote) swap(r *resource, o object, was string) (written object, ok bool) {
	defer e.forget()
	reply := e.call(etcdCall{Op: opSwap, Object: o, Was: was}, r)
	return reply.Object, reply.OK
}

func (e *remote) call(c etcdCall, r *resource) (reply etcdReply) {
	c.Installation, c.Resource = e.installation, r.qualified()
	for began := time.Now(); ; {
		err := e.wire.post(context.Background(), etcdPath, c, &reply)
		if err == nil {
			return reply
		}
		if time.Since(began) > wireLost {
			e.wire.lost(errors.Join(errors.New("the wire to the site is cut"), err))
		}
		<-time.After(wireRetry)
	}
}
