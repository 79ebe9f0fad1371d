package filestore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/provision/state"
)

// compactAt is the size at which a journal is folded when it is opened.
const compactAt = 1 << 20

type file interface {
	io.ReadWriteCloser
	io.Seeker
	Truncate(size int64) error
	Sync() error
}

type journal struct {
	dir, path string
	lock      *flock

	mu   sync.Mutex
	file file
	size int64
	doc  state.Document
	dead error // why nothing more may be appended
}

// load replays the journal and cuts a torn tail off.
func (j *journal) load() error {
	data, err := io.ReadAll(j.file)
	if err != nil {
		return err
	}
	doc, good := replay(data)
	if err := j.cut(int64(good)); err != nil {
		return err
	}
	j.doc = doc
	if good <= compactAt {
		return nil
	}
	err = j.compact()
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return nil // the long journal is as good, and who opens it may be about to make room
	}
	return err
}

func (j *journal) cut(size int64) error {
	if err := j.file.Truncate(size); err != nil {
		return err
	}
	j.size = size
	_, err := j.file.Seek(size, io.SeekStart)
	return err
}

func (j *journal) compact() error {
	frame, err := encode(j.doc.Seq, body{Document: &j.doc})
	if err != nil {
		return err
	}
	if err := atomicfile.Write(j.path, frame, 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(j.path, os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	j.file.Close()
	j.file = f
	return j.cut(int64(len(frame)))
}

// Append implements [state.Journal].
func (j *journal) Append(r state.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.dead != nil {
		return j.dead
	}
	r.Seq, r.Time = j.doc.Seq+1, time.Now().UTC()
	if err := j.write(r); err != nil {
		j.dead = fmt.Errorf("record %s of step %q in %s: %w", r.Kind, r.Step, j.path, err)
		return j.dead
	}
	j.doc = j.doc.Fold(r)
	return nil
}

// write appends one frame. A part of it that reached the disk before an error
// is cut off again, now if possible, else when the journal is next opened.
func (j *journal) write(r state.Record) error {
	frame, err := encode(r.Seq, body{Record: &r})
	if err != nil {
		return err
	}
	_, err = j.file.Write(frame)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return errors.Join(err, j.cut(j.size))
	}
	j.size += int64(len(frame))
	return nil
}

// Document implements [state.Journal].
func (j *journal) Document() state.Document {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.doc
}

// Describe implements [state.Journal].
func (j *journal) Describe(step string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lock.describe(step)
}

// Remove implements [state.Journal]. The journal goes first: what a crash
// leaves behind is then no cluster any more. The directory is put aside before
// it is emptied, for the next run may make a new one at any time.
func (j *journal) Remove() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.dead = os.ErrClosed
	err := errors.Join(os.Remove(j.path), os.Rename(j.dir, trash(j.dir)), os.RemoveAll(trash(j.dir)), j.file.Close(), j.lock.file.Close())
	// The directory of clusters goes with the last of them.
	_ = os.Remove(filepath.Dir(j.dir))
	return err
}

// trash is where the directory of a cluster is emptied.
func trash(dir string) string {
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".removed")
}

// Close implements [state.Journal]. Closing twice, or after Remove, is no error.
func (j *journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if errors.Is(j.dead, os.ErrClosed) {
		return nil
	}
	j.dead = os.ErrClosed
	return errors.Join(j.file.Close(), j.lock.file.Close())
}
