package filestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/provision/state"
)

const (
	journalName = "journal"
	lockName    = "lock"
)

// A Store keeps each cluster in the directory <home>/clusters/<full name>.
type Store struct{ home string }

// New returns a store below home, which is made when it is first needed.
func New(home string) *Store { return &Store{home} }

// Dir is the directory of one cluster. Other files of the cluster (services
// document, credentials, boot image) live in it beside the journal.
func (s *Store) Dir(cluster string) string { return filepath.Join(s.home, "clusters", cluster) }

// Open implements [state.Store].
func (s *Store) Open(_ context.Context, cluster string, who state.Holder) (state.Journal, error) {
	dir := s.Dir(cluster)
	lock, err := acquire(filepath.Join(dir, lockName), cluster, who)
	if err != nil {
		return nil, err
	}
	j, err := openJournal(dir, lock)
	if err != nil {
		lock.file.Close()
		return nil, err
	}
	return j, nil
}

// Read implements [state.Store].
func (s *Store) Read(_ context.Context, cluster string) (state.Document, error) {
	data, err := os.ReadFile(filepath.Join(s.Dir(cluster), journalName))
	if errors.Is(err, fs.ErrNotExist) {
		return state.Document{}, nil
	}
	if err != nil {
		return state.Document{}, fmt.Errorf("read state: %w", err)
	}
	doc, _ := replay(data)
	return doc, nil
}

// List implements [state.Store].
func (s *Store) List(_ context.Context) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(s.home, "clusters", "*", journalName))
	if err != nil {
		return nil, err
	}
	for i, path := range found {
		found[i] = filepath.Base(filepath.Dir(path))
	}
	return found, nil
}

// flock is a lock that dies with its process, so that no lock is ever stale.
type flock struct {
	file *os.File
	who  state.Holder
}

func acquire(path, cluster string, who state.Holder) (*flock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return nil, heldBy(path, cluster)
	}
	if !current(f, path) { // a `down` removed it between our open and our lock
		f.Close()
		return acquire(path, cluster, who)
	}
	l := &flock{file: f, who: who}
	l.describe("")
	return l, nil
}

// current reports whether path still names f.
func current(f *os.File, path string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(ours, named)
}

// heldBy reads who holds the lock. The file may be read in the instant in
// which it is rewritten: then nobody is named.
func heldBy(path, cluster string) error {
	held := &state.HeldError{Cluster: cluster}
	if data, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(data, &held.Holder)
	}
	return held
}

// describe writes who holds the lock and what they do. It informs people
// only, so that a failure to write is no failure of the run.
func (l *flock) describe(step string) {
	l.who.Step = step
	data, err := json.Marshal(l.who)
	if err != nil {
		return
	}
	if _, err := l.file.WriteAt(data, 0); err == nil {
		_ = l.file.Truncate(int64(len(data)))
	}
}

func openJournal(dir string, lock *flock) (*journal, error) {
	path := filepath.Join(dir, journalName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &journal{dir: dir, path: path, file: f, lock: lock}
	if err := j.load(); err != nil {
		f.Close()
		return nil, fmt.Errorf("open journal %s: %w", path, err)
	}
	return j, atomicfile.SyncDir(dir)
}
