package provision

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/state"
)

// A DiskError says that this host's disk took no more, and what had been made
// by then.
type DiskError struct {
	Made []string
	Err  error
}

func (e *DiskError) Error() string {
	if len(e.Made) == 0 {
		return fmt.Sprintf("%v; nothing was made yet", e.Err)
	}
	return fmt.Sprintf("%v; made so far: %s", e.Err, strings.Join(e.Made, ", "))
}

func (e *DiskError) Unwrap() error { return e.Err }

// explainDisk adds to an error of this host's disk what was made. The state as
// it was last written is whole, and knows it: identities are recorded before
// what they name is made.
func (r *run) explainDisk(err *error) {
	for _, fault := range []error{unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EROFS} {
		if errors.Is(*err, fault) {
			*err = hint.With(&DiskError{objects(r.journal.Document()), *err},
				"mend or empty the disk under "+r.Home+", then run the same command again: it goes on where it stopped; `slipway down` removes what was made")
			return
		}
	}
}

// objects are the things that the state knows to have been made, and those
// that were being made when it was written last.
func objects(d state.Document) (made []string) {
	add := func(step, what string) {
		switch d.Steps[step].Kind {
		case state.Done:
			made = append(made, what)
		case state.Intent, state.Handle, state.Failed:
			made = append(made, what+" (perhaps)")
		}
	}
	if d.Serve != nil {
		add("services", fmt.Sprintf("slipway serve, pid %d", d.Serve.PID))
	}
	if d.Ref != nil {
		add("register", "cluster "+d.Ref.ClusterID+" at the installer")
	} else {
		add("register", "cluster "+d.Cluster+" at the installer")
	}
	if d.Image != nil {
		add("image", "boot image "+d.Image.Name)
	}
	if d.Cloud != nil {
		add("cloud image", "cloud image "+d.Cloud.Name)
	}
	for _, node := range slices.Sorted(maps.Keys(d.Machines)) {
		m := d.Machines[node]
		add("machine "+node, fmt.Sprintf("machine %s (%s on %s)", m.Name, m.ID, m.Place))
	}
	return made
}
