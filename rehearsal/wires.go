package rehearsal

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/rehearsal/node"
)

// wirePort is where a site answers its wires, the port of etcd.
const wirePort = 2379

// wires lead from virtual machines to the site of their World, over link-local
// addresses (RFC 3927) of each segment, which the machines' own configuration
// does not touch. It is safe for concurrent use.
type wires struct {
	lab     *netlab.Lab
	server  *http.Server
	running sync.WaitGroup

	mu       sync.Mutex
	segments map[string]*segmentWires
	told     map[string]func(node.HostState) // by host id
}

// segmentWires are the wires of one segment.
type segmentWires struct {
	site   netip.AddrPort
	next   netip.Addr
	guests map[uuid.UUID]netip.Addr
}

func newWires(lab *netlab.Lab, site *node.Site) *wires {
	w := &wires{lab: lab, segments: map[string]*segmentWires{}, told: map[string]func(node.HostState){}}
	w.server = &http.Server{Handler: site.Handler(w.report), ReadHeaderTimeout: 30 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	return w
}

// report passes on what a machine says of itself.
func (w *wires) report(hostID string, state node.HostState) {
	w.mu.Lock()
	tell := w.told[hostID]
	w.mu.Unlock()
	if tell != nil {
		tell(state)
	}
}

// A wire is one machine's end.
type wire struct {
	site    netip.AddrPort
	address netip.Prefix
}

// connect gives a machine on segment its wire, the same one each time. tell is
// called with what the machine says of itself.
func (w *wires) connect(segment string, id uuid.UUID, tell func(node.HostState)) (wire, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.segments[segment]
	if s == nil {
		var err error
		if s, err = w.open(segment); err != nil {
			return wire{}, fmt.Errorf("wires of %s: %w", segment, err)
		}
		w.segments[segment] = s
	}
	if !s.guests[id].IsValid() {
		if s.guests[id] = s.next; s.next.As4()[3] == 255 {
			return wire{}, fmt.Errorf("wires of %s: too many machines", segment)
		}
		s.next = s.next.Next()
	}
	w.told[id.String()] = tell
	return wire{s.site, netip.PrefixFrom(s.guests[id], 24)}, nil
}

// open answers on one more segment. Addresses of each are a network of their
// own, for they all end in one namespace.
func (w *wires) open(segment string) (*segmentWires, error) {
	n := len(w.segments) + 1 // 169.254.0.0/24 is reserved
	if n > 254 {
		return nil, errors.New("too many segments")
	}
	site := netip.AddrFrom4([4]byte{169, 254, byte(n), 1})
	if err := w.lab.AddSegment(segment, netip.PrefixFrom(site, 24)); err != nil {
		return nil, err
	}
	at := netip.AddrPortFrom(site, wirePort)
	l, err := w.lab.Datacentre().Listen("tcp", at.String())
	if err != nil {
		return nil, err
	}
	w.running.Go(func() { _ = w.server.Serve(l) }) // until Close
	return &segmentWires{at, site.Next(), map[uuid.UUID]netip.Addr{}}, nil
}

// Close cuts all wires.
func (w *wires) Close() error {
	err := w.server.Close()
	w.running.Wait()
	return err
}
