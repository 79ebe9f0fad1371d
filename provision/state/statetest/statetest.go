// Package statetest is the suite that every state store passes.
package statetest

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/state"
)

const cluster = "mycluster.lab.test"

// Run holds the store that open returns to the promises of package state.
// Each call of open returns a store on the same place, as a new process
// would see it.
func Run(t *testing.T, open func(t *testing.T) state.Store) {
	tests := map[string]func(*testing.T, state.Store){
		"a cluster never made has the zero document": zero,
		"records survive a new opening":              survive,
		"the second run is told who has the cluster": held,
		"appends of many goroutines all count":       concurrent,
		"a removed cluster is a new one":             removed,
		"a closed journal takes nothing":             closed,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func zero(t *testing.T, s state.Store) {
	doc, err := s.Read(t.Context(), cluster)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(state.Document{}, doc); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	if names := list(t, s); len(names) != 0 {
		t.Errorf("listed %v, want none", names)
	}
}

func survive(t *testing.T, s state.Store) {
	j := take(t, s)
	add(t, j,
		state.Record{Kind: state.Created, Cluster: cluster, ID: "c1"},
		state.Record{Kind: state.Intent, Step: "machine control-0"},
		state.Record{Kind: state.Chose, Machine: &provider.Machine{Node: "control-0", ID: "20001"}},
		state.Record{Kind: state.Handle, Step: "machine control-0", Handle: "UPID:pve:1"},
		state.Record{Kind: state.Done, Step: "machine control-0"},
		state.Record{Kind: state.Chose, Ref: &installer.Ref{ClusterID: "a", InfraEnvID: "b"}},
		state.Record{Kind: state.Chose, Image: &state.Image{Name: "x.iso", Size: 7}},
		state.Record{Kind: state.Chose, Serve: &state.Process{PID: 7, Start: "99"}, Serial: 4},
		state.Record{Kind: state.Ejected, Node: "control-0"},
	)
	want := j.Document()
	shut(t, j)
	got := take(t, s)
	defer shut(t, got)
	if diff := cmp.Diff(want, got.Document(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("document after reopening (-want +got):\n%s", diff)
	}
	step := got.Document().Steps["machine control-0"]
	if step.Kind != state.Done || step.Handle != "UPID:pve:1" {
		t.Errorf("step is %+v", step)
	}
}

func held(t *testing.T, s state.Store) {
	j := take(t, s)
	defer shut(t, j)
	j.Describe("boot control-1")
	_, err := s.Open(t.Context(), cluster, state.Holder{Verb: "down"})
	var heldError *state.HeldError
	if !errors.As(err, &heldError) {
		t.Fatalf("second Open: %v, want a HeldError", err)
	}
	if h := heldError.Holder; h.Verb != "up" || h.PID != 42 || h.Step != "boot control-1" {
		t.Errorf("holder is %+v", h)
	}
}

func concurrent(t *testing.T, s state.Store) {
	j := take(t, s)
	defer shut(t, j)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 10 {
				if err := j.Append(state.Record{Kind: state.Intent, Step: "s"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if seq := j.Document().Seq; seq != 80 {
		t.Errorf("sequence is %d, want 80", seq)
	}
}

func removed(t *testing.T, s state.Store) {
	j := take(t, s)
	add(t, j, state.Record{Kind: state.Created, Cluster: cluster, ID: "c1"})
	if names := list(t, s); len(names) != 1 || names[0] != cluster {
		t.Errorf("listed %v", names)
	}
	if err := j.Remove(); err != nil {
		t.Fatal(err)
	}
	zero(t, s)
	again := take(t, s)
	defer shut(t, again)
	if id := again.Document().ID; id != "" {
		t.Errorf("id %q came back", id)
	}
}

func closed(t *testing.T, s state.Store) {
	j := take(t, s)
	shut(t, j)
	shut(t, j)
	if err := j.Append(state.Record{Kind: state.Ready}); err == nil {
		t.Error("a closed journal took a record")
	}
}

func take(t *testing.T, s state.Store) state.Journal {
	t.Helper()
	j, err := s.Open(t.Context(), cluster, state.Holder{Verb: "up", PID: 42})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func add(t *testing.T, j state.Journal, records ...state.Record) {
	t.Helper()
	for _, r := range records {
		if err := j.Append(r); err != nil {
			t.Fatal(err)
		}
	}
}

func shut(t *testing.T, j state.Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func list(t *testing.T, s state.Store) []string {
	t.Helper()
	names, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return names
}
