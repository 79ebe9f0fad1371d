package rehearsal

import (
	"fmt"
	"slices"
	"sync"

	"github.com/slipway-project/slipway/rehearsal/pve"
)

// A Fault is something that was made to go wrong in a hypervisor.
type Fault struct {
	Text       string `json:"fault"`      // as it was asked for
	Hypervisor string `json:"hypervisor"` // URL
	Hits       int    `json:"hits"`       // how often it has struck
}

// faults are those that were injected, oldest first.
type faults struct {
	mu   sync.Mutex
	list []injected
}

type injected struct {
	text, url string
	in        *pve.Injection
}

// Inject puts a fault, as [pve.ParseFault] reads it, into effect in every
// hypervisor; one that names a node, in those that have the node.
func (w *World) Inject(text string) error {
	f, err := pve.ParseFault(text)
	if err != nil {
		return err
	}
	if len(w.datacentres) == 0 {
		return fmt.Errorf("fault %q: there is no simulated hypervisor in which it could go wrong", text)
	}
	struck := false
	for _, d := range w.datacentres {
		if f.Node != "" && !slices.Contains(d.Nodes, f.Node) {
			continue
		}
		in, err := d.api.Inject(f)
		if err != nil {
			return err
		}
		w.faults.add(injected{text, d.URL, in})
		struck = true
	}
	if !struck {
		return fmt.Errorf("fault %q: no hypervisor has that node", text)
	}
	return nil
}

func (f *faults) add(i injected) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, i)
}

// Faults lists what was injected, and how often it has struck so far.
func (w *World) Faults() []Fault {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	list := []Fault{} // [] in JSON, not null
	for _, i := range w.faults.list {
		list = append(list, Fault{i.text, i.url, i.in.Hits()})
	}
	return list
}

// injectFaults comes when all is ready: what clients were told to trust is
// from before.
func (w *World) injectFaults() error {
	for _, text := range w.cfg.Faults {
		if err := w.Inject(text); err != nil {
			return err
		}
	}
	return nil
}

// Requests counts what hypervisors were asked, by URL, node that was asked,
// and method with path template, see [pve.Server.Requests].
func (w *World) Requests() map[string]map[string]map[string]int {
	counts := map[string]map[string]map[string]int{}
	for _, d := range w.datacentres {
		counts[d.URL] = map[string]map[string]int{}
		for _, node := range d.Nodes {
			counts[d.URL][node] = d.api.NodeRequests(node)
		}
	}
	return counts
}
