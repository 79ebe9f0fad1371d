package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// drainTime is how long a member that leaves may finish its sessions.
const drainTime = time.Minute

// An Embedded is a load balancer in our own process: the same checks, the same
// choice of servers and the same limits as the haproxy of a [Proxy], without
// haproxy. Its sessions end with the process. All methods may be called at any
// time from any goroutine.
type Embedded struct {
	ctx    context.Context // ends with Stop
	cancel context.CancelFunc
	wg     sync.WaitGroup
	slots  chan struct{} // a place for each connection

	mu        sync.Mutex // one change at a time; guards what follows
	config    Config
	frontends map[string]*frontend // by name
	healths   map[target]*watched
}

// A watched is a health under check.
type watched struct {
	*health
	stop    context.CancelFunc
	servers []*server // whose sessions it may cut
}

// StartEmbedded listens on every frontend of c. Servers are taken for up until
// checks say otherwise. End it with [Embedded.Stop].
func StartEmbedded(ctx context.Context, c Config) (*Embedded, error) {
	most, err := embeddedMaxConn()
	if err != nil {
		return nil, err
	}
	e := &Embedded{slots: make(chan struct{}, most), frontends: map[string]*frontend{}, healths: map[target]*watched{}}
	e.ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := e.Apply(ctx, c); err != nil {
		return nil, errors.Join(err, e.Stop(ctx))
	}
	return e, nil
}

// Apply makes c what is running, or changes nothing. Sessions of members that
// stay are not touched; those of a member that leaves may go on for a minute,
// unless it is down or the bootstrap host: they are reset at once.
func (e *Embedded) Apply(ctx context.Context, c Config) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("load balancer: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx.Err() != nil {
		return errors.New("the load balancer is stopped")
	}
	fresh, err := e.open(ctx, c)
	if err != nil {
		return fmt.Errorf("load balancer: %w", err)
	}
	known := e.servers()
	e.closeUnlike(c)
	for name, f := range fresh {
		e.frontends[name] = f
	}
	leaving := e.assign(c, known)
	for _, f := range fresh {
		e.wg.Go(func() { f.accept(e.ctx, &e.wg) })
	}
	for _, s := range leaving {
		e.retire(s)
	}
	e.config = c
	return nil
}

// open listens for the frontends of c that are new, or on another address.
func (e *Embedded) open(ctx context.Context, c Config) (map[string]*frontend, error) {
	fresh := map[string]*frontend{}
	for _, f := range c.Frontends {
		if e.has(f) {
			continue
		}
		fe, err := listen(ctx, f, e.slots)
		if err != nil {
			for _, opened := range fresh {
				opened.listener.Close()
			}
			return nil, fmt.Errorf("frontend %q: %w", f.Name, err)
		}
		fresh[f.Name] = fe
	}
	return fresh, nil
}

func (e *Embedded) has(f Frontend) bool {
	have := e.frontends[f.Name]
	return have != nil && have.spec.Load().Bind == f.Bind
}

// closeUnlike closes the frontends that c has no more.
func (e *Embedded) closeUnlike(c Config) {
	keep := map[string]bool{}
	for _, f := range c.Frontends {
		keep[f.Name] = e.has(f)
	}
	for name, f := range e.frontends {
		if !keep[name] {
			f.listener.Close()
			delete(e.frontends, name)
		}
	}
}

// assign gives every frontend its servers, the known ones where there are, and
// returns those that leave.
func (e *Embedded) assign(c Config, known map[serverKey]*server) (leaving []*server) {
	begun := len(e.healths) > 0
	used := map[target][]*server{}
	for _, f := range c.Frontends {
		fe := e.frontends[f.Name]
		var list []*server
		for _, m := range f.Members {
			key := serverKey{f.Name, f.Check, m}
			s := known[key]
			delete(known, key)
			if s == nil {
				s = &server{Member: m, sessions: map[*session]bool{}, health: e.watch(targetOf(f.Check, m), !begun)}
			}
			list = append(list, s)
			used[s.target] = append(used[s.target], s)
		}
		fe.servers.Store(&list)
		fe.spec.Store(&f)
	}
	for _, s := range known {
		leaving = append(leaving, s)
	}
	e.unwatch(used)
	return leaving
}

// A serverKey is the identity of a server.
type serverKey struct {
	frontend string
	check    Check
	member   Member
}

func (e *Embedded) servers() map[serverKey]*server {
	all := map[serverKey]*server{}
	for _, f := range e.config.Frontends {
		if fe := e.frontends[f.Name]; fe != nil {
			for _, s := range *fe.servers.Load() {
				all[serverKey{f.Name, s.check, s.Member}] = s
			}
		}
	}
	return all
}

// watch returns the health of a target, and begins to check it. A server that
// comes later waits for its checks: others carry the load.
func (e *Embedded) watch(t target, up bool) *health {
	if w := e.healths[t]; w != nil {
		return w.health
	}
	w := &watched{}
	w.health = newHealth(t, up, func(alive bool) { e.fell(t, alive) })
	ctx, stop := context.WithCancel(e.ctx)
	w.stop = stop
	e.healths[t] = w
	e.wg.Go(func() { w.run(ctx) })
	return w.health
}

// unwatch ends the checks of targets that no server needs.
func (e *Embedded) unwatch(used map[target][]*server) {
	for t, w := range e.healths {
		w.servers = used[t]
		if w.servers == nil {
			w.stop()
			delete(e.healths, t)
		}
	}
}

// answerGrace is what a server that is about to leave, and says so, has to
// finish its answers.
const answerGrace = time.Second

// fell cuts the sessions of a server that went down, where the kind of
// frontend wants that.
func (e *Embedded) fell(t target, alive bool) {
	if !checks[t.check].cutDown {
		return
	}
	if !alive {
		e.cutDown(t)
		return
	}
	e.wg.Go(func() {
		select {
		case <-e.ctx.Done():
		case <-time.After(answerGrace):
			e.cutDown(t)
		}
	})
}

// cutDown resets the sessions of the target's servers if it is down.
func (e *Embedded) cutDown(t target) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := e.healths[t]
	if w == nil || w.isUp() {
		return
	}
	for _, s := range w.servers {
		s.cutAll(false)
	}
}

// retire ends the sessions of a member that left.
func (e *Embedded) retire(s *server) {
	s.draining.Store(true)
	if s.Role == RoleBootstrap || !s.isUp() {
		s.cutAll(true)
		return
	}
	e.wg.Go(func() {
		ctx, cancel := context.WithTimeout(e.ctx, drainTime)
		defer cancel()
		_ = until(ctx, func() error {
			if n := s.count(); n > 0 {
				return fmt.Errorf("%d sessions", n)
			}
			return nil
		})
		s.cutAll(true)
	})
}

// Stop closes every socket and resets every session.
func (e *Embedded) Stop(context.Context) error {
	e.cancel()
	e.mu.Lock()
	for _, f := range e.frontends {
		f.listener.Close()
	}
	for _, s := range e.servers() {
		s.cutAll(true)
	}
	e.mu.Unlock()
	e.wg.Wait()
	return nil
}

// Stats tells the state of all frontends and members.
func (e *Embedded) Stats(context.Context) (Stats, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var st Stats
	for _, spec := range e.config.Frontends {
		f := e.frontends[spec.Name]
		if f == nil {
			continue
		}
		row := FrontendStats{
			Name: spec.Name, Bind: spec.Bind, Sessions: int(f.open.Load()), Total: f.total.Load(),
			Refused: f.refused.Load(), In: f.in.Load(), Out: f.out.Load(),
		}
		for _, s := range *f.servers.Load() {
			one := s.stats(spec.Name)
			row.Up = row.Up || one.Up
			st.Servers = append(st.Servers, one)
		}
		st.Frontends = append(st.Frontends, row)
	}
	return st, nil
}

func (s *server) stats(frontend string) Server {
	out := Server{
		Frontend: frontend, Name: s.Name, Address: s.Address, Sessions: s.count(),
		Total: s.total.Load(), Errors: s.lost.Load(), In: s.in.Load(), Out: s.out.Load(),
	}
	out.State, out.Up, out.Since, out.Check = s.state()
	return out
}

// Name says that it is not haproxy.
func (e *Embedded) Name() string { return "embedded" }

// Err is nil: what serves in our process does not die alone.
func (e *Embedded) Err() error { return nil }

// Restarts is 0, for the same reason.
func (e *Embedded) Restarts() int { return 0 }

// Logs is empty: there is no other process that could write any.
func (e *Embedded) Logs() []string { return nil }
