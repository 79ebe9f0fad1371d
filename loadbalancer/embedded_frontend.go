package loadbalancer

import (
	"context"
	"errors"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tries    = 4                      // servers that a connection is offered to, at most
	takeTime = 200 * time.Millisecond // for one to take it, before the next is asked: haproxy's timeout connect
	lastTime = 3 * time.Second        // for the last one there is
)

// A frontend accepts connections and gives them to servers.
type frontend struct {
	listener *net.TCPListener
	slots    []chan struct{} // each has a place for a connection, or makes it wait
	spec     atomic.Pointer[Frontend]
	servers  atomic.Pointer[[]*server]
	next     atomic.Uint32

	open    atomic.Int64
	total   atomic.Uint64
	refused atomic.Uint64
	in, out atomic.Uint64
}

// A server is a member, with the sessions it has.
type server struct {
	Member
	*health
	draining atomic.Bool // leaves: no new connections

	mu       sync.Mutex
	sessions map[*session]bool

	total, lost, in, out atomic.Uint64
}

// listen makes the socket of a frontend that nobody serves yet.
func listen(ctx context.Context, f Frontend, total chan struct{}) (*frontend, error) {
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}}
	l, err := lc.Listen(ctx, "tcp", f.Bind.String())
	if err != nil {
		return nil, err
	}
	slots := []chan struct{}{total}
	if most := checks[f.Check].maxConn; most > 0 {
		slots = append(slots, make(chan struct{}, min(most, cap(total))))
	}
	fe := &frontend{listener: l.(*net.TCPListener), slots: slots}
	fe.spec.Store(&f)
	fe.servers.Store(new([]*server))
	return fe, nil
}

// accept serves until the listener is closed or ctx ends. It waits for a place
// before it accepts: what is over the limit stays in the kernel's queue.
func (f *frontend) accept(ctx context.Context, group *sync.WaitGroup) {
	for f.reserve(ctx) {
		conn, err := f.listener.AcceptTCP()
		if err != nil {
			f.release()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select { // short of memory or descriptors: not all at once again
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		group.Go(func() {
			defer f.release()
			f.serve(ctx, conn)
		})
	}
}

func (f *frontend) reserve(ctx context.Context) bool {
	for i, slot := range f.slots {
		select {
		case slot <- struct{}{}:
		case <-ctx.Done():
			for _, taken := range f.slots[:i] {
				<-taken
			}
			return false
		}
	}
	return true
}

func (f *frontend) release() {
	for _, slot := range f.slots {
		<-slot
	}
}

// serve relays one connection. A client that is not allowed, and one that no
// server is there for, gets a reset.
func (f *frontend) serve(ctx context.Context, client *net.TCPConn) {
	f.total.Add(1)
	from := client.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	if !f.spec.Load().allows(from) {
		f.refused.Add(1)
		reset(client)
		return
	}
	srv, conn := f.connect(ctx, from)
	if conn == nil {
		reset(client)
		return
	}
	s := &session{client: client, server: conn, idle: idleTime}
	s.in = func(n int64) { f.in.Add(uint64(n)); srv.in.Add(uint64(n)) }
	s.out = func(n int64) { f.out.Add(uint64(n)); srv.out.Add(uint64(n)) }
	if !srv.begin(s) {
		s.cut()
		return
	}
	f.open.Add(1)
	s.run()
	f.open.Add(-1)
	srv.end(s)
}

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

func (f Frontend) allows(client netip.Addr) bool {
	return len(f.Allow) == 0 || slices.ContainsFunc(f.Allow, func(p netip.Prefix) bool { return p.Contains(client) })
}

// connect finds a server that takes a connection of the client, and nil when
// there is none. One that does not is left for the next.
func (f *frontend) connect(ctx context.Context, client netip.Addr) (*server, *net.TCPConn) {
	spec := f.spec.Load()
	var tried []*server
	for range tries {
		able := f.able(tried)
		if len(able) == 0 {
			return nil, nil
		}
		srv, wait := f.pick(client, able), takeTime
		if len(able) == 1 {
			wait = lastTime
		}
		srv.total.Add(1)
		conn, err := srv.dial(ctx, wait)
		if checks[spec.Check].watchTraffic && len(spec.Members) > 1 && ctx.Err() == nil {
			srv.observe(err)
		}
		if err == nil {
			return srv, conn
		}
		srv.lost.Add(1)
		tried = append(tried, srv)
	}
	return nil, nil
}

func (s *server) dial(ctx context.Context, wait time.Duration) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: wait, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	conn, err := d.DialContext(ctx, "tcp", s.Address.String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// able lists the servers that are up and not tried yet; a bootstrap host only
// when there is no other.
func (f *frontend) able(tried []*server) []*server {
	var able, spare []*server
	for _, s := range *f.servers.Load() {
		switch {
		case s.draining.Load() || !s.isUp() || slices.Contains(tried, s):
		case s.Role == RoleBootstrap:
			spare = append(spare, s)
		default:
			able = append(able, s)
		}
	}
	if len(able) == 0 {
		return spare
	}
	return able
}

// pick chooses among some servers.
func (f *frontend) pick(client netip.Addr, able []*server) *server {
	if checks[f.spec.Load().Check].bySource {
		return slices.MaxFunc(able, func(a, b *server) int { return compareWeight(client, a, b) })
	}
	return able[int(f.next.Add(1))%len(able)]
}

// compareWeight orders servers for a client (rendezvous hashing): when one
// goes, only its own clients move.
func compareWeight(client netip.Addr, a, b *server) int {
	x, y := weight(client, a), weight(client, b)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func weight(client netip.Addr, s *server) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s.Name))
	h.Write(client.AsSlice())
	// FNV alone leaves the high bits of short keys alike.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

// begin notes a session, unless the server has been cut off meanwhile.
func (s *server) begin(one *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions == nil {
		return false
	}
	s.sessions[one] = true
	return true
}

func (s *server) end(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, one)
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// cutAll resets every session; those that leave for good have no more.
func (s *server) cutAll(forGood bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one := range s.sessions {
		one.cut()
	}
	if forGood {
		s.sessions = nil
	}
}
