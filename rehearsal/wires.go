package rehearsal

import (
	"cmp"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/rehearsal/guest"
	"github.com/slipway-project/slipway/rehearsal/node"
)

// wirePort is where a site answers its wires, the port of etcd.
const wirePort = 2379

// wires lead from virtual machines to the site of their World. Each ends where
// an installer is, for whoever boots an image of that reaches it. It is safe for
// concurrent use.
type wires struct {
	server  *http.Server
	running sync.WaitGroup

	mu   sync.Mutex
	told map[string]func(node.HostState) // by host id: those that a hypervisor of the World runs
	met  map[string]acquaintance         // all others
}

// An acquaintance is a machine that nobody knows of but by what it says.
type acquaintance struct {
	state node.HostState
	at    time.Time
}

func newWires(site *node.Site) *wires {
	w := &wires{told: map[string]func(node.HostState){}, met: map[string]acquaintance{}}
	w.server = &http.Server{Handler: site.Handler(w.report), ReadHeaderTimeout: 30 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	return w
}

// serve answers what comes to l until Close.
func (w *wires) serve(l net.Listener) { w.running.Go(func() { _ = w.server.Serve(l) }) }

// report passes on what a machine says of itself.
func (w *wires) report(hostID string, state node.HostState) {
	w.mu.Lock()
	tell := w.told[hostID]
	if tell == nil {
		w.met[hostID] = acquaintance{state, time.Now()}
	}
	w.mu.Unlock()
	if tell != nil {
		tell(state)
	}
}

// follow has tell called with what a machine says of itself.
func (w *wires) follow(id uuid.UUID, tell func(node.HostState)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told[id.String()] = tell
}

// silence is how long a machine is believed to be there that says nothing. It
// speaks every second.
const silence = 30 * time.Second

// hosts are the acquaintances that are there, by the names that known has.
func (w *wires) hosts(known map[uuid.UUID]guest.Spec) (hosts []Host) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(w.met)) {
		if a := w.met[id]; time.Since(a.at) < silence {
			hosts = append(hosts, Host{Name: nameOf(id, known), MACs: []string{}, State: a.state})
		}
	}
	slices.SortFunc(hosts, func(a, b Host) int { return cmp.Compare(a.Name, b.Name) })
	return hosts
}

func nameOf(id string, known map[uuid.UUID]guest.Spec) string {
	if parsed, err := uuid.Parse(id); err == nil {
		return cmp.Or(known[parsed].Name, id)
	}
	return id
}

// Close cuts all wires.
func (w *wires) Close() error {
	err := w.server.Close()
	w.running.Wait()
	return err
}

// openWire answers at an installer's address, and returns where that is.
func (w *World) openWire(place endpoint) (netip.AddrPort, error) {
	place.at = netip.AddrPortFrom(place.at.Addr(), wirePort)
	if slices.Contains(w.real.open, place.at) {
		return place.at, nil
	}
	l, err := w.listen(place)
	if err != nil {
		return place.at, fmt.Errorf("wires of its machines: %w", err)
	}
	w.real.wires.serve(l)
	w.real.open = append(w.real.open, place.at)
	return place.at, nil
}
