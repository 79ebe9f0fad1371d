package provision

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/state"
	"github.com/slipway-project/slipway/provision/state/filestore"
)

// recorded leaves a cluster of the given records behind.
func recorded(t *testing.T, home, name string, records ...state.Record) {
	t.Helper()
	j, err := filestore.New(home).Open(t.Context(), name, holder("up"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := j.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func step(name string, kind state.Kind) state.Record { return state.Record{Kind: kind, Step: name} }

func TestListTellsOfEachCluster(t *testing.T) {
	home := t.TempDir()
	created := func(name string) state.Record {
		return state.Record{Kind: state.Created, Cluster: name, ID: "1"}
	}
	recorded(t, home, "a.lab.test", created("a.lab.test"), state.Record{Kind: state.Chose, Machine: &provider.Machine{Node: "control-0"}},
		step("join", state.Intent), step("join", state.Done), state.Record{Kind: state.Ready})
	recorded(t, home, "b.lab.test", created("b.lab.test"), step("image", state.Intent), step("image", state.Failed))
	recorded(t, home, "c.lab.test", created("c.lab.test"), state.Record{Kind: state.Ready}, step("machine control-0", state.Undone))
	recorded(t, home, "d.lab.test", created("d.lab.test"))
	if err := os.WriteFile(filepath.Join(home, "clusters", "d.lab.test", "journal"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(home, "clusters", "e.lab.test"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(home, "clusters", "e.lab.test", "journal"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := List(t.Context(), home)
	if err != nil {
		t.Fatal(err)
	}
	dir := func(name string) string { return filepath.Join(home, "clusters", name) }
	want := []Listed{
		{Name: "a.lab.test", State: ListedReady, Nodes: 1, Step: "join", Dir: dir("a.lab.test")},
		{Name: "b.lab.test", State: ListedMaking, Step: "image (failed)", Dir: dir("b.lab.test")},
		{Name: "c.lab.test", State: ListedRemoving, Step: "machine control-0", Dir: dir("c.lab.test")},
		{Name: "d.lab.test", State: ListedBroken, Problem: "the journal has no whole record", Dir: dir("d.lab.test")},
		{Name: "e.lab.test", State: ListedBroken, Problem: "read state: read " + dir("e.lab.test") + "/journal: is a directory", Dir: dir("e.lab.test")},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(time.Time{})); diff != "" {
		t.Errorf("clusters (-want +got):\n%s", diff)
	}
}

func TestListOfNothingIsEmpty(t *testing.T) {
	got, err := List(t.Context(), filepath.Join(t.TempDir(), "absent"))
	if err != nil || got == nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestListSaysWhenAClusterEnds(t *testing.T) {
	home, at := t.TempDir(), time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	recorded(t, home, "a.lab.test", state.Record{Kind: state.Created, Cluster: "a.lab.test", ID: "1"}, state.Record{Kind: state.Renewed, Expires: at})
	if l := listOne(t, home); !l.Expires.Equal(at) {
		t.Errorf("ends %v, want %v", l.Expires, at)
	}
}

// A lock file outlives its holder; only a lock that is held counts. To look
// takes nobody's cluster.
func TestListNamesTheHolderWhileThereIsOne(t *testing.T) {
	home := t.TempDir()
	store := filestore.New(home)
	j, err := store.Open(t.Context(), "a.lab.test", holder("up"))
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Append(state.Record{Kind: state.Created, Cluster: "a.lab.test", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	j.Describe("image")
	if l := listOne(t, home); l.Holder == nil || l.Holder.PID != os.Getpid() || l.Holder.Step != "image" || l.Holder.Verb != "up" {
		t.Errorf("holder %+v", l.Holder)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if l := listOne(t, home); l.Holder != nil {
		t.Errorf("nobody holds it, not %+v", l.Holder)
	}
	again, err := store.Open(context.Background(), "a.lab.test", holder("down"))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
}

func listOne(t *testing.T, home string) Listed {
	t.Helper()
	all, err := List(t.Context(), home)
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	return all[0]
}
