package loadbalancer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipway-project/slipway/internal/atomicfile"
)

// Options say which haproxy runs, and where.
type Options struct {
	Binary Binary
	RunDir string // absolute, of one Proxy alone; made (0700) when missing
	Label  string // appears in haproxy's arguments, so that [Running] finds it after a crash of ours
}

// A Proxy is a running haproxy that is started again when it dies. All methods
// may be called at any time from any goroutine.
type Proxy struct {
	o   Options
	env Env
	log logfile

	ctx    context.Context // ends with Stop
	cancel context.CancelFunc
	wg     sync.WaitGroup // a master's goroutines, one a member that drains

	mu      sync.Mutex // one change at a time; guards what follows
	config  Config     // what is running
	master  *master
	deaths  []time.Time // within the last minute
	drains  map[string]context.CancelFunc
	stopped bool
	adopted bool // it was running before us

	binds    atomic.Pointer[map[string]netip.AddrPort] // of config
	fault    atomic.Pointer[error]
	restarts atomic.Int32
}

// Start takes over the haproxy that an earlier run left in the run directory,
// if it is the same program and works, or ends it and starts one; it returns
// once every frontend of c accepts connections. ctx bounds the start only; end
// the Proxy with [Proxy.Stop].
func Start(ctx context.Context, o Options, c Config) (*Proxy, error) {
	maxConn, err := MaxConn()
	if err != nil {
		return nil, err
	}
	p := &Proxy{o: o, env: Env{o.Binary.Version, o.RunDir, maxConn}, drains: map[string]context.CancelFunc{}}
	p.log = logfile(p.path("haproxy.log"))
	p.binds.Store(new(map[string]netip.AddrPort))
	if err := p.env.validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.RunDir, 0o700); err != nil {
		return nil, fmt.Errorf("run directory of haproxy: %w", err)
	}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := p.begin(ctx, c); err != nil {
		return nil, errors.Join(err, p.Stop(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func (p *Proxy) begin(ctx context.Context, c Config) error {
	if err := p.takeOver(ctx); err != nil {
		return err
	}
	if p.adopted {
		return p.resume(ctx, c)
	}
	return p.Apply(ctx, c)
}

// Adopted reports whether the haproxy was there before the Proxy.
func (p *Proxy) Adopted() bool { return p.adopted }

func (p *Proxy) path(name string) string { return filepath.Join(p.o.RunDir, name) }

// Apply makes c what is running, without losing a connection. The new file is
// checked first. Members that come and go are told to the running haproxy,
// where it can take that; else it reloads, and Apply looks whether the new
// worker accepts on every frontend and knows every member. If not, the old file
// is put back and loaded again, and the error says why. An unchanged c is left
// alone. Members that are down, and the bootstrap host, lose their sessions
// when they leave; others have a minute, or after a reload ten, to finish.
func (p *Proxy) Apply(ctx context.Context, c Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return errors.New("the load balancer is stopped")
	}
	text, changed, err := p.stage(ctx, c)
	if err != nil {
		return err
	}
	if changed || !p.master.running() || !p.isLoaded(text) {
		if err := p.swap(ctx, c, changed); err != nil {
			return fmt.Errorf("load balancer: %w", err)
		}
	}
	p.settle(c)
	return p.noteLoaded(text)
}

// settle notes that c is running.
func (p *Proxy) settle(c Config) {
	binds := map[string]netip.AddrPort{}
	for _, f := range c.Frontends {
		binds[f.Name] = f.Bind
	}
	p.config = c
	p.binds.Store(&binds)
	p.fault.Store(nil)
}

// stage leaves a checked haproxy.cfg.new, unless haproxy.cfg is the same.
func (p *Proxy) stage(ctx context.Context, c Config) (text []byte, changed bool, err error) {
	text, err = Render(c, p.env)
	if err != nil {
		return nil, false, err
	}
	if now, err := os.ReadFile(p.path("haproxy.cfg")); err == nil && bytes.Equal(now, text) {
		return text, false, nil
	}
	if _, err := os.Stat(p.path("servers.state")); err != nil { // the check wants one
		if err := p.forgetStates(); err != nil {
			return nil, false, err
		}
	}
	file := p.path("haproxy.cfg.new")
	if err := atomicfile.Write(file, text, 0o600); err != nil {
		return nil, false, err
	}
	if err := p.o.Binary.Check(ctx, file); err != nil {
		os.Remove(file)
		return nil, false, err
	}
	return text, true, nil
}

// forgetStates leaves no server's state for the next haproxy to learn.
func (p *Proxy) forgetStates() error {
	return atomicfile.Write(p.path("servers.state"), []byte(stateVersion), 0o600)
}

// swap puts the staged file in place and has haproxy run it.
func (p *Proxy) swap(ctx context.Context, c Config, changed bool) error {
	adjusted := changed && p.adjust(ctx, c)
	if changed {
		if err := p.replace(); err != nil {
			return err
		}
	}
	switch {
	case adjusted:
		return nil
	case !p.master.running():
		return p.launch(ctx, c)
	}
	err := p.reload(ctx, c)
	if err != nil && changed {
		err = errors.Join(err, p.restore(ctx, c))
	}
	return err
}

// replace renames haproxy.cfg.new to haproxy.cfg; at no time there is none.
func (p *Proxy) replace() error {
	os.Remove(p.path("haproxy.cfg.prev"))
	if err := os.Link(p.path("haproxy.cfg"), p.path("haproxy.cfg.prev")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(p.path("haproxy.cfg.new"), p.path("haproxy.cfg")); err != nil {
		return err
	}
	return atomicfile.SyncDir(p.o.RunDir)
}

// restore goes back to the file before, even when the caller has given up.
func (p *Proxy) restore(ctx context.Context, refused Config) error {
	if err := os.Rename(p.path("haproxy.cfg.prev"), p.path("haproxy.cfg")); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if !p.master.running() {
		return p.launch(ctx, p.config)
	}
	d, _ := p.difference(refused)
	return errors.Join(p.readmit(ctx, d.gone), p.reload(ctx, p.config))
}

// Stop ends haproxy with all its workers and waits for them, at most 5 s if
// ctx lets it. The configuration stays in the run directory; the sockets go.
func (p *Proxy) Stop(ctx context.Context) error {
	p.cancel()
	p.mu.Lock()
	p.stopped = true
	err := p.master.stop(ctx)
	p.mu.Unlock()
	p.wg.Wait()
	for _, socket := range []string{"haproxy.sock", "master.sock", "health.sock"} {
		os.Remove(p.path(socket))
	}
	return err
}

// Stats asks haproxy for its counters and the health of all members.
func (p *Proxy) Stats(ctx context.Context) (Stats, error) {
	answer, err := ask(ctx, p.path("haproxy.sock"), "show stat -1 5 -1")
	if err != nil {
		return Stats{}, err
	}
	st, err := parseStat(answer, time.Now())
	binds := *p.binds.Load()
	st.Frontends = slices.DeleteFunc(st.Frontends, func(f FrontendStats) bool { return !binds[f.Name].IsValid() })
	for i := range st.Frontends {
		st.Frontends[i].Bind = binds[st.Frontends[i].Name]
	}
	return st, err
}

// Name is that of the program and its version.
func (p *Proxy) Name() string { return "haproxy " + p.o.Binary.Version.String() }

// Err returns why haproxy is not running although it should; nil when it is.
func (p *Proxy) Err() error {
	if err := p.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// Restarts returns how often haproxy died and was started again.
func (p *Proxy) Restarts() int { return int(p.restarts.Load()) }

// Logs returns the last lines haproxy wrote, oldest first, at most 200.
func (p *Proxy) Logs() []string { return p.log.tail(logLines) }
