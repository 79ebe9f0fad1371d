package dnsserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a Server cannot change while it lives. The zero value is
// what a cluster's services want.
type Options struct {
	Log   int           // queries remembered for Queries; 0: 512
	Conns int           // TCP connections held at once; 0: 1024
	Idle  time.Duration // after which a silent TCP connection is closed; 0: 10 s (RFC 7766 6.2.3)

	// Secret returns the secret of a TSIG key in base64, "" for a key it does
	// not know. The name is absolute and in lower case. It is called for each
	// signed query, from any goroutine; nil knows no key.
	Secret func(key string) string
}

// grace is how long queries under way may take once the server is to end.
const grace = time.Second

// A Server answers what its Config says, on the addresses its Config names.
// All methods may be called at any time from any goroutine.
type Server struct {
	idle     time.Duration
	secret   [32]byte                // of the cookies
	secretOf func(key string) string // of TSIG keys; may be nil
	table    atomic.Pointer[table]
	meter    meter
	log      *ring
	conns    *connSet
	slots    chan struct{} // forwarded queries under way

	ctx    context.Context // ends the queries under way
	cancel context.CancelFunc

	mu        sync.Mutex // guards what follows
	listeners map[netip.AddrPort]*listener
	serving   bool
	closed    bool
	running   sync.WaitGroup // listeners
}

// New returns a server without zones or addresses.
func New(o Options) *Server {
	s := &Server{
		idle: o.Idle, secretOf: o.Secret, log: newRing(o.Log), conns: newConnSet(o.Conns),
		slots: make(chan struct{}, maxForwards), listeners: map[netip.AddrPort]*listener{},
	}
	if s.idle == 0 {
		s.idle = 10 * time.Second
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.table.Store(&table{})
	rand.Read(s.secret[:]) // never fails (crypto/rand)
	return s
}

var errClosed = errors.New("the DNS server is closed")

// Set replaces what is served, all or nothing. It checks every record, refuses
// a zone whose serial did not grow with its records (RFC 1982), opens the
// addresses that are new and closes those that are gone; queries under way are
// answered from what was served when they came. The error names all problems;
// that of an address in use names the process which has it, with a hint.
//
// Before Serve, Set only opens the sockets: queries wait in them.
func (s *Server) Set(c Config) error {
	if c.Forward != nil {
		upstreams, err := pastStubs(c.Forward.Upstreams, resolvedServers)
		if err != nil {
			return fmt.Errorf("forward: %w", err)
		}
		forward := *c.Forward
		forward.Upstreams = upstreams
		c.Forward = &forward
	}
	next, err := compile(c)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	old := s.table.Load()
	if err := next.succeeds(old); err != nil {
		return err
	}
	opened, err := s.open(c.Listen)
	if err != nil {
		return err
	}
	next.forward = old.forward.renew(c.Forward)
	s.table.Store(next)
	s.replace(c.Listen, opened)
	return nil
}

// open binds the addresses that are not bound yet.
func (s *Server) open(want []netip.AddrPort) (map[netip.AddrPort]*listener, error) {
	opened := map[netip.AddrPort]*listener{}
	var problems []error
	for _, a := range want {
		if s.listeners[a] != nil || opened[a] != nil {
			continue
		}
		l, err := listen(a)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		opened[a] = l
	}
	if err := errors.Join(problems...); err != nil {
		for _, l := range opened {
			l.close()
		}
		return nil, err
	}
	return opened, nil
}

// replace starts what was opened and ends what is not wanted any more.
func (s *Server) replace(want []netip.AddrPort, opened map[netip.AddrPort]*listener) {
	for a, l := range opened {
		s.listeners[a] = l
		if s.serving {
			s.start(l)
		}
	}
	for a, l := range s.listeners {
		if !slices.Contains(want, a) {
			s.end(l)
			delete(s.listeners, a)
		}
	}
}

// start serves l; s.mu is held.
func (s *Server) start(l *listener) {
	s.running.Go(func() { l.run(s) })
}

// end stops l; s.mu is held.
func (s *Server) end(l *listener) {
	if s.serving {
		l.stop() // run closes it
		s.conns.hurry(l)
		return
	}
	l.close()
}

// Serve answers until ctx ends, then lets the queries under way finish, for at
// most a second, and closes all sockets. A Server serves once. It returns nil
// when ctx or Close ended it.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.begin(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-s.ctx.Done(): // Close
	}
	s.Close()
	return nil
}

func (s *Server) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if s.serving {
		return errors.New("the DNS server is serving already")
	}
	s.serving = true
	for _, l := range s.listeners {
		s.start(l)
	}
	return nil
}

// Close ends the server, also one that never served; to call it again is no
// error.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for a, l := range s.listeners {
		s.end(l)
		delete(s.listeners, a)
	}
	s.mu.Unlock()
	late := time.AfterFunc(grace, func() {
		s.cancel()
		s.conns.closeAll() // clients that do not read their answers
	})
	defer late.Stop()
	s.running.Wait()
	s.cancel()
}

// Addrs returns the addresses that are bound, in order; a port 0 in the Config
// is here the port that was found.
func (s *Server) Addrs() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := []netip.AddrPort{}
	for _, l := range s.listeners {
		addrs = append(addrs, l.bound)
	}
	slices.SortFunc(addrs, netip.AddrPort.Compare)
	return addrs
}

// pause keeps a socket's passing trouble (no memory, no descriptors) from
// becoming a busy loop.
func (s *Server) pause() {
	select {
	case <-s.ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
}
