package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/rehearsal/node"
)

// A World is a simulated datacentre that runs in this process. It is safe for
// concurrent use.
type World struct {
	cfg    Config
	layout *layout
	lab    *netlab.Lab
	site   *node.Site

	ctx     context.Context // ends with Close, or with a server that fails
	end     context.CancelCauseFunc
	running sync.WaitGroup // servers
	closers []func() error // in order of opening
	close   func() error

	datacentres []*datacentre
	installers  []*installer
	faults      faults
	real        *reality // of virtual machines; nil: all are simulated
	ready       Ready
	own         []netlab.Socket // waiting sockets of the World itself on the services host
}

// Ready is what a World says of itself once everything answers.
type Ready struct {
	Version   int                 `json:"version"`
	PID       int                 `json:"pid"`
	Enter     []string            `json:"enter"`     // begins a command line that runs inside
	Env       map[string]string   `json:"env"`       // environment for slipway inside
	Endpoints map[string]Endpoint `json:"endpoints"` // by the URL in the Config
}

// readyVersion is the version of the line that Ready makes.
const readyVersion = 1

// An Endpoint is a simulated server, and what a client needs to trust it and
// be trusted.
type Endpoint struct {
	Address     netip.AddrPort `json:"address"`
	Fingerprint string         `json:"fingerprint,omitempty"` // SHA-256 of the certificate, AA:BB:...; empty without TLS
	CA          string         `json:"ca,omitempty"`          // path of the authority's certificate
	TokenFile   string         `json:"token_file,omitempty"`  // path, mode 0600
}

// Open builds the World of cfg around this process, which [netlab.Spawn] must
// have started: its hosts file, resolver and network change for good.
func Open(cfg Config) (*World, error) {
	layout, err := newLayout(cfg)
	if err != nil {
		return nil, err
	}
	w := &World{cfg: cfg, layout: layout, site: node.NewSite(), ready: Ready{
		Version: readyVersion, PID: os.Getpid(), Endpoints: map[string]Endpoint{}, Env: map[string]string{},
	}}
	w.ctx, w.end = context.WithCancelCause(context.Background())
	w.close = sync.OnceValue(w.shut)
	if err := w.open(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *World) open() error {
	for _, step := range []func() error{
		w.settle, w.cable, w.startRouters, w.startReality, w.startInstallers, w.startDatacentres, w.startControl, w.announce, w.injectFaults,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// settle writes the private files and makes them this process's.
func (w *World) settle() error {
	hosts, resolv := w.path("hosts"), w.path("resolv.conf")
	err := errors.Join(
		os.WriteFile(hosts, w.layout.hostsFile(), 0o644),
		os.WriteFile(resolv, w.layout.resolvFile(), 0o644),
		os.MkdirAll(w.path("home"), 0o700),
	)
	if err != nil {
		return fmt.Errorf("write the files of the services host: %w", err)
	}
	if err := netlab.Settle(hosts, resolv); err != nil {
		return fmt.Errorf("settle in the namespaces: %w", err)
	}
	return nil
}

func (w *World) path(name string) string { return filepath.Join(w.cfg.Dir, name) }

// later has f called by Close, before everything that was there earlier.
func (w *World) later(f func() error) { w.closers = append(w.closers, f) }

// cable lays the networks and connects the services host to them.
func (w *World) cable() (err error) {
	if w.lab, err = netlab.New(); err != nil {
		return err
	}
	w.later(w.lab.Close)
	for _, n := range w.layout.networks {
		if err := w.lab.AddSegment(n.segment, n.prefixes(n.datacentre)...); err != nil {
			return err
		}
	}
	for _, a := range w.layout.remotes {
		if err := w.lab.AddRemote(a); err != nil {
			return err
		}
	}
	if len(w.layout.networks) > 1 {
		if err := w.lab.Route(); err != nil {
			return fmt.Errorf("route between the networks: %w", err)
		}
	}
	return w.connect()
}

// connect gives the services host one interface a network that it is in; the
// first of them leads to everywhere else.
func (w *World) connect() error {
	nics := 0
	for _, n := range w.layout.networks {
		if len(n.services) == 0 {
			continue
		}
		var gateway netip.Addr
		if nics == 0 {
			gateway = n.gateway
		}
		if err := w.lab.Connect(n.segment, "eth"+strconv.Itoa(nics), n.prefixes(n.services), gateway); err != nil {
			return fmt.Errorf("network %s: %w", n.cidr, err)
		}
		nics++
	}
	return nil
}

func (w *World) startRouters() error {
	for _, n := range w.layout.networks {
		r, err := startRouter(w.lab.Datacentre(), n.gateway, w.layout.names)
		if err != nil {
			return fmt.Errorf("router of %s: %w", n.cidr, err)
		}
		w.later(r.Close)
		if err := w.startDHCP(n); err != nil {
			return fmt.Errorf("router of %s: %w", n.cidr, err)
		}
	}
	return nil
}

func (w *World) startDHCP(n network) error {
	if n.pool.size == 0 {
		return nil
	}
	s, err := startDHCP(w.lab, n)
	if err == nil {
		w.later(s.Close)
	}
	return err
}

// listen opens the port of an endpoint, where its address is.
func (w *World) listen(e endpoint) (net.Listener, error) {
	if e.home {
		return w.lab.Home().Listen("tcp", e.at.String())
	}
	return w.lab.Datacentre().Listen("tcp", e.at.String())
}

// serve runs a server until it ends; without it the World is no use.
func (w *World) serve(name string, run func() error) {
	w.running.Go(func() {
		if err := run(); w.ctx.Err() == nil {
			w.end(fmt.Errorf("%s: %w", name, err))
		}
	})
}

// announce completes Ready, with sockets and names all in place.
func (w *World) announce() (err error) {
	if w.own, err = w.lab.Home().Listening(); err != nil {
		return fmt.Errorf("list sockets: %w", err)
	}
	w.ready.Enter = netlab.Enter()
	w.ready.Env["SLIPWAY_HOME"] = w.path("home")
	w.ready.Env["SLIPWAY_PACE"] = strconv.FormatFloat(max(1, float64(w.cfg.pace())), 'g', -1, 64)
	maps.Copy(w.ready.Env, w.cfg.Env)
	w.later(evict) // the first thing to happen at the end
	return nil
}

// Ready says how to enter the World. The result is the caller's.
func (w *World) Ready() Ready {
	r := w.ready
	r.Enter, r.Env, r.Endpoints = slices.Clone(r.Enter), maps.Clone(r.Env), maps.Clone(r.Endpoints)
	return r
}

// Done is closed when the World ends; Err then says why.
func (w *World) Done() <-chan struct{} { return w.ctx.Done() }

// Err is the error of a server that failed, nil while all is well and after an
// orderly Close.
func (w *World) Err() error {
	if err := context.Cause(w.ctx); err != nil && !errors.Is(err, errClosed) {
		return err
	}
	return nil
}

var errClosed = errors.New("world closed")

// Close ends the programs that are still inside, switches the machines off,
// and removes servers, cables and namespaces. Closing twice is no error.
func (w *World) Close() error { return w.close() }

func (w *World) shut() error {
	w.end(errClosed)
	var errs []error
	for _, f := range slices.Backward(w.closers) {
		errs = append(errs, f())
	}
	w.running.Wait()
	return errors.Join(errs...)
}
