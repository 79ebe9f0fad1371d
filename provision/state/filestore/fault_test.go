package filestore

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/provision/state"
)

var faults = []error{unix.ENOSPC, unix.EDQUOT, unix.EIO, io.ErrShortWrite}

// A disk that has room for so many more bytes; its cleverness to forget them
// again, or to sync them, may fail too.
type disk struct {
	file
	room               int
	fault, cut, synced error
}

func (d *disk) Write(p []byte) (int, error) {
	n, _ := d.file.Write(p[:min(d.room, len(p))])
	if n < len(p) {
		return n, d.fault
	}
	return n, nil
}

func (d *disk) Truncate(size int64) error {
	if d.cut != nil {
		return d.cut
	}
	return d.file.Truncate(size)
}

func (d *disk) Sync() error { return errors.Join(d.synced, d.file.Sync()) }

// Whichever byte of whichever record the disk refuses, also when the part that
// it took cannot be cut off: the run is told, takes nothing more, and the state
// is what was recorded before.
func TestDiskFaultAtEveryByte(t *testing.T) {
	whole, _ := sample(t, t.TempDir())
	record := state.Record{Kind: state.Intent, Step: "machine control-0"}
	frame, err := encode(9, body{Record: &record})
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []error{nil, unix.EIO} {
		for i := range len(frame) {
			faulty(t, whole, record, &disk{room: i, fault: faults[i%len(faults)], cut: cut})
		}
	}
}

// What could not be synced does not count.
func TestDiskFaultAtSync(t *testing.T) {
	whole, _ := sample(t, t.TempDir())
	for _, fault := range faults {
		faulty(t, whole, state.Record{Kind: state.Intent, Step: "x"}, &disk{room: 1 << 20, fault: fault, synced: fault})
	}
}

// faulty has a disk fail while a record is appended to a whole journal.
func faulty(t *testing.T, whole []byte, r state.Record, d *disk) {
	t.Helper()
	home := t.TempDir()
	path := filepath.Join(New(home).Dir(cluster), journalName)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	j := open(t, home)
	want := j.Document()
	d.file, j.file = j.file, d
	for range 2 {
		if err := j.Append(r); !errors.Is(err, d.fault) {
			t.Fatalf("room for %d bytes: %v", d.room, err)
		}
	}
	if diff := cmp.Diff(want, j.Document()); diff != "" {
		t.Errorf("room for %d bytes: the run sees (-want +got):\n%s", d.room, diff)
	}
	j.Close()
	again := open(t, home)
	defer again.Close()
	if diff := cmp.Diff(want, again.Document()); diff != "" {
		t.Errorf("room for %d bytes: the next run sees (-want +got):\n%s", d.room, diff)
	}
	add(t, again, r)
}

// A journal that was shortened is cut like any other, and what a killed
// process left of shortening it is in nobody's way.
func TestTornTailAfterCompaction(t *testing.T) {
	home := t.TempDir()
	sample(t, home)
	j := open(t, home)
	if err := j.compact(); err != nil {
		t.Fatal(err)
	}
	add(t, j, state.Record{Kind: state.Intent, Step: "a"})
	base := j.Document()
	folded := int(j.size)
	add(t, j, state.Record{Kind: state.Intent, Step: "b"})
	j.Close()
	whole, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := folded; cut < len(whole); cut++ {
		if err := os.WriteFile(j.path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		half := filepath.Join(j.dir, ".journal.1.23")
		if err := os.WriteFile(half, whole[:cut-folded], 0o600); err != nil {
			t.Fatal(err)
		}
		again := open(t, home)
		if diff := cmp.Diff(base, again.Document()); diff != "" {
			t.Fatalf("cut at byte %d (-want +got):\n%s", cut, diff)
		}
		again.Close()
	}
}

// Damage is never read as data: whichever bit of a journal is wrong, what is
// read is what was recorded before it.
func TestDamageAtEveryBit(t *testing.T) {
	whole, ends := sample(t, t.TempDir())
	for bit := range len(whole) * 8 {
		damaged := bytes.Clone(whole)
		damaged[bit/8] ^= 1 << (bit % 8)
		records := 0
		for records < len(ends) && ends[records] <= int64(bit/8) {
			records++
		}
		if doc, good := replay(damaged); doc.Seq != uint64(records) || records > 0 && int64(good) != ends[records-1] {
			t.Fatalf("bit %d of byte %d is wrong: %d records in %d bytes, want %d", bit%8, bit/8, doc.Seq, good, records)
		}
	}
}

// Of many that want a cluster at once one has it at a time, also while it is
// removed and made anew: no record of one is in the way of another's.
func TestOneRunAtATime(t *testing.T) {
	home := t.TempDir()
	var inside, turns, refused atomic.Int32
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for turns.Load() < 60 {
				j, err := New(home).Open(t.Context(), cluster, state.Holder{Verb: "up", PID: os.Getpid()})
				var held *state.HeldError
				if errors.As(err, &held) {
					refused.Add(1)
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d runs have the cluster", n)
				}
				turn := turns.Add(1)
				if err := j.Append(state.Record{Kind: state.Intent, Step: "x"}); err != nil {
					t.Error(err)
				}
				inside.Add(-1)
				if turn%3 == 0 {
					err = j.Remove()
				} else {
					err = j.Close()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if refused.Load() == 0 {
		t.Error("nobody was ever refused")
	}
}
