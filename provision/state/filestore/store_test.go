package filestore

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/state"
	"github.com/slipway-project/slipway/provision/state/statetest"
)

func TestStore(t *testing.T) {
	statetest.Run(t, func(t *testing.T) state.Store { return New(t.TempDir()) })
}

// A journal cut at any byte opens with exactly the records that are whole.
func TestTornTail(t *testing.T) {
	home := t.TempDir()
	whole, ends := sample(t, home)
	path := filepath.Join(New(home).Dir("c.lab.test"), journalName)
	for cut := range len(whole) {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j := open(t, home)
		want := uint64(0)
		for _, end := range ends {
			if int64(cut) >= end {
				want++
			}
		}
		if got := j.Document().Seq; got != want {
			t.Fatalf("cut at byte %d: %d records, want %d", cut, got, want)
		}
		if err := j.Append(state.Record{Kind: state.Ready}); err != nil {
			t.Fatal(err)
		}
		j.Close()
		if doc := open(t, home); doc.Document().Seq != want+1 {
			t.Fatalf("cut at byte %d: the record after the cut is lost", cut)
		} else {
			doc.Close()
		}
	}
}

func TestCompaction(t *testing.T) {
	home := t.TempDir()
	j := open(t, home)
	add(t, j, state.Record{Kind: state.Created, Cluster: "c.lab.test", ID: "1"})
	for j.size <= compactAt {
		add(t, j, state.Record{Kind: state.Failed, Step: "x", Error: string(make([]byte, 50_000))})
	}
	want := j.Document()
	j.Close()
	again := open(t, home)
	defer again.Close()
	if again.size > 400_000 {
		t.Errorf("compacted journal has %d bytes", again.size)
	}
	if diff := cmp.Diff(want, again.Document()); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	add(t, again, state.Record{Kind: state.Ready})
}

func TestPermissions(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	j := open(t, home)
	defer j.Close()
	for path, want := range map[string]os.FileMode{
		home: 0o700, j.dir: 0o700, j.path: 0o600, filepath.Join(j.dir, lockName): 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %v, want %v", path, got, want)
		}
	}
}

func FuzzReplay(f *testing.F) {
	whole, _ := sample(f, f.TempDir())
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, good := replay(data)
		if good > len(data) {
			t.Fatalf("%d good bytes of %d", good, len(data))
		}
		again, same := replay(data[:good])
		if same != good {
			t.Fatalf("the good part has %d good bytes, not %d", same, good)
		}
		if diff := cmp.Diff(doc, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	j := open(b, b.TempDir())
	defer j.Close()
	for b.Loop() {
		add(b, j, state.Record{Kind: state.Intent, Step: "machine control-0"})
	}
}

// sample writes a journal and returns its bytes and where each record ends.
func sample(t testing.TB, home string) (whole []byte, ends []int64) {
	j := open(t, home)
	defer j.Close()
	for _, r := range []state.Record{
		{Kind: state.Created, Cluster: "c.lab.test", ID: "1"},
		{Kind: state.Intent, Step: "a"},
		{Kind: state.Handle, Step: "a", Handle: "UPID:x"},
		{Kind: state.Done, Step: "a"},
	} {
		add(t, j, r)
		ends = append(ends, j.size)
	}
	whole, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	return whole, ends
}

func open(t testing.TB, home string) *journal {
	t.Helper()
	j, err := New(home).Open(t.Context(), "c.lab.test", state.Holder{Verb: "up"})
	if err != nil {
		t.Fatal(err)
	}
	return j.(*journal)
}

func add(t testing.TB, j *journal, r state.Record) {
	t.Helper()
	if err := j.Append(r); err != nil {
		t.Fatal(err)
	}
}
