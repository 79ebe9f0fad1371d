package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/provision/spec"
	"github.com/slipway-project/slipway/provision/state"
	"github.com/slipway-project/slipway/provision/state/filestore"
)

// The states of a listed cluster, by its records alone.
const (
	ListedMaking   = "making"   // it has never been whole
	ListedReady    = "ready"    // it was whole when `up` ended
	ListedRemoving = "removing" // a teardown has begun
	ListedBroken   = "broken"   // its records cannot be read
)

// A Listed is a cluster of the state home, as its records tell: nothing is
// contacted, and what happened without slipway is not known.
type Listed struct {
	Name    string        `json:"name"` // full name
	State   string        `json:"state"`
	Created time.Time     `json:"created,omitzero"`
	Ready   time.Time     `json:"ready,omitzero"`   // when `up` last ended well
	Expires time.Time     `json:"expires,omitzero"` // when `down --expired` may remove it
	Nodes   int           `json:"nodes"`            // that have a machine
	Step    string        `json:"step,omitempty"`   // the last one
	Last    time.Time     `json:"last,omitzero"`    // its time
	Holder  *state.Holder `json:"holder,omitempty"`
	Problem string        `json:"problem,omitempty"` // why it is broken
	Dir     string        `json:"dir"`
}

// List tells of all clusters below a state home, in the order of their names.
// A cluster whose records are broken is listed as such.
func List(ctx context.Context, home string) ([]Listed, error) {
	dirs, err := filepath.Glob(filepath.Join(home, "clusters", "*"))
	if err != nil {
		return nil, fmt.Errorf("state directory %q: %w", home, err)
	}
	store := filestore.New(home)
	all := []Listed{}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			all = append(all, listed(ctx, store, filepath.Base(dir)))
		}
	}
	return all, nil
}

func listed(ctx context.Context, store *filestore.Store, name string) Listed {
	l := Listed{Name: name, Dir: store.Dir(name), Holder: heldNow(filepath.Join(store.Dir(name), "lock"))}
	doc, err := store.Read(ctx, name)
	switch {
	case err != nil:
		l.State, l.Problem = ListedBroken, err.Error()
	case doc.ID == "" && l.Holder != nil: // a run that has not begun to make anything
		l.State = ListedMaking
	case doc.ID == "":
		l.State, l.Problem = ListedBroken, "the journal has no whole record"
	default:
		l.describe(doc)
	}
	return l
}

func (l *Listed) describe(doc state.Document) {
	l.Created, l.Ready, l.Expires, l.Nodes, l.State = doc.Created, doc.Ready, doc.Expires, len(doc.Machines), ListedMaking
	if _, services := doc.Machines[spec.ServicesName]; services {
		l.Nodes--
	}
	if !doc.Ready.IsZero() {
		l.State = ListedReady
	}
	for name, step := range doc.Steps {
		if step.Time.After(l.Last) || step.Time.Equal(l.Last) && name < l.Step {
			l.Step, l.Last = name, step.Time
		}
		if step.Kind == state.Undone || l.Holder != nil && l.Holder.Verb == "down" {
			l.State = ListedRemoving
		}
	}
	if l.Step != "" && doc.Steps[l.Step].Kind == state.Failed {
		l.Step += " (failed)"
	}
}

// heldNow is who holds a lock at this moment, nil: nobody. A lock lives as long
// as its process; what its file says may be of one that has ended. The lock is
// tried only when somebody seems to hold it, for trying it is to hold it.
func heldNow(path string) *state.Holder {
	data, err := os.ReadFile(path)
	var who state.Holder
	if err != nil || json.Unmarshal(data, &who) != nil || !mayLive(who) {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	if !errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return nil
	}
	return &who
}

// mayLive reports whether the holder's process can still run: on another host
// that is not known.
func mayLive(who state.Holder) bool {
	if here, err := os.Hostname(); err == nil && who.Host != here {
		return true
	}
	return who.PID > 0 && !errors.Is(unix.Kill(who.PID, 0), unix.ESRCH)
}
