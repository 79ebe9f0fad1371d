package rehearsal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/slipway-project/slipway/internal/netlab"
)

// Residue lists everything that is in the World and was not there when it
// opened, one line a thing: what the APIs have in their tables, processes
// other than the excluded ones, sockets that wait on the services host, and
// the files at or below the given paths. A clean teardown leaves none.
func (w *World) Residue(exclude []int, paths []string) ([]string, error) {
	found := []string{} // [] in JSON, not null
	for _, d := range w.datacentres {
		found = append(found, d.residue()...)
	}
	for _, in := range w.installers {
		found = append(found, in.residue()...)
	}
	for _, look := range []func() ([]string, error){
		func() ([]string, error) { return processes(exclude) },
		w.sockets,
		func() ([]string, error) { return files(paths) },
	} {
		more, err := look()
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

func (d *datacentre) residue() []string {
	var found []string
	for _, vm := range d.api.VMs() {
		found = append(found, fmt.Sprintf("VM %d %s in %s", vm.ID, vm.Name, d.URL))
	}
	for _, path := range d.api.Images() {
		found = append(found, fmt.Sprintf("ISO image %s in %s", filepath.Base(path), d.URL))
	}
	for _, upid := range d.api.RunningTasks() {
		found = append(found, fmt.Sprintf("task %s in %s", upid, d.URL))
	}
	return found
}

func (in *installer) residue() []string {
	var found []string
	for _, c := range in.service.Clusters() {
		found = append(found, fmt.Sprintf("cluster %s in %s", c, in.URL))
	}
	for _, ie := range in.service.InfraEnvs() {
		found = append(found, fmt.Sprintf("infra env %s in %s", ie, in.URL))
	}
	return found
}

func processes(exclude []int) ([]string, error) {
	inside, err := netlab.Processes()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, p := range inside {
		if !slices.Contains(exclude, p.PID) {
			found = append(found, fmt.Sprintf("process %d %s", p.PID, p.Command))
		}
	}
	return found, nil
}

func (w *World) sockets() ([]string, error) {
	waiting, err := w.lab.Home().Listening()
	if err != nil {
		return nil, fmt.Errorf("list sockets: %w", err)
	}
	var found []string
	for _, s := range waiting {
		if !slices.Contains(w.own, s) {
			found = append(found, "socket "+s.String())
		}
	}
	return found, nil
}

func files(paths []string) ([]string, error) {
	var found []string
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			if err == nil && !e.IsDir() {
				found = append(found, "file "+path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("look for files: %w", err)
		}
	}
	return found, nil
}

// evict ends every program that is inside besides this one, and those that
// they start meanwhile.
func evict() error {
	const rounds = 10
	for range rounds {
		inside, err := netlab.Processes()
		if err != nil || len(inside) == 0 {
			return err
		}
		for _, p := range inside {
			if err := p.Kill(); err != nil {
				return err
			}
		}
	}
	return errors.New("end the programs inside: there are always new ones")
}
