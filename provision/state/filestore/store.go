package filestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/state"
)

const (
	journalName = "journal"
	lockName    = "lock"
)

// A Store keeps each cluster in the directory <home>/clusters/<full name>.
type Store struct {
	home  string
	flock func(fd, how int) error
}

// New returns a store below home, which is made when it is first needed.
func New(home string) *Store { return &Store{home, unix.Flock} }

// Dir is the directory of one cluster. Other files of the cluster (services
// document, credentials, boot image) live in it beside the journal.
func (s *Store) Dir(cluster string) string { return filepath.Join(s.home, "clusters", cluster) }

// Open implements [state.Store].
func (s *Store) Open(ctx context.Context, cluster string, who state.Holder) (state.Journal, error) {
	dir := s.Dir(cluster)
	lock, err := s.await(ctx, filepath.Join(dir, lockName), cluster, who)
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

// namelessFor is how long a lock may be held that names nobody who lives.
const namelessFor = 2 * time.Second

// await takes the lock, or says who has it. That of a killed run lives on for
// an instant when it was killed while it began a program: the child has the
// lock until it is that program.
func (s *Store) await(ctx context.Context, path, cluster string, who state.Holder) (*flock, error) {
	deadline := time.Now().Add(namelessFor)
	for {
		lock, err := s.acquire(path, cluster, who)
		var held *state.HeldError
		if !errors.As(err, &held) || held.Holder.PID != 0 || time.Now().After(deadline) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *Store) acquire(path, cluster string, who state.Holder) (*flock, error) {
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	if err := s.flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, refused(path, err)
		}
		return nil, heldBy(path, cluster)
	}
	if !current(f, path) { // a `down` removed it between our open and our lock
		f.Close()
		return s.acquire(path, cluster, who)
	}
	l := &flock{file: f, who: who}
	l.describe("")
	return l, nil
}

// openLock makes the lock and its directories, again when a `down` removes
// them meanwhile.
func openLock(path string) (f *os.File, err error) {
	for range 100 {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	return f, nil
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

// refused says of a file system that has no locks what to do: network file
// systems without a lock service are such.
func refused(path string, err error) error {
	err = fmt.Errorf("lock %s: %w", path, err)
	if errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return hint.With(fmt.Errorf("%w: its file system takes no locks, without which two runs could make the same machines", err),
			"keep the state on a local disk: --home DIR, or SLIPWAY_HOME")
	}
	return err
}

// heldBy reads who holds the lock. Nobody is named when the file is read in
// the instant in which it is rewritten, or still names a process of this host
// that is gone: the lock has been taken over from it just now.
func heldBy(path, cluster string) error {
	held := &state.HeldError{Cluster: cluster}
	data, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(data, &held.Holder) != nil || gone(held.Holder) {
		held.Holder = state.Holder{}
	}
	return held
}

// gone reports whether a holder on this host is no more.
func gone(h state.Holder) bool {
	host, err := os.Hostname()
	return err == nil && h.Host == host && h.PID > 0 && errors.Is(unix.Kill(h.PID, 0), unix.ESRCH)
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
	if err := os.RemoveAll(trash(dir)); err != nil {
		return nil, fmt.Errorf("remove what is left of a removed cluster: %w", err)
	}
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
