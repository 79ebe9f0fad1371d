package loadbalancer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	o    Options
	env  Env
	logs ring

	ctx    context.Context // ends with Stop
	cancel context.CancelFunc
	wg     sync.WaitGroup // one goroutine a master

	mu      sync.Mutex // one change at a time; guards what follows
	config  Config     // what is running
	master  *master
	deaths  []time.Time // within the last minute
	stopped bool

	fault    atomic.Pointer[error]
	restarts atomic.Int32
}

// Start ends whatever haproxy an earlier run left in the run directory, starts
// one with c, and returns once every frontend accepts connections. ctx bounds
// the start only; end the Proxy with [Proxy.Stop].
func Start(ctx context.Context, o Options, c Config) (*Proxy, error) {
	maxConn, err := MaxConn()
	if err != nil {
		return nil, err
	}
	p := &Proxy{o: o, env: Env{o.Binary.Version, o.RunDir, maxConn}}
	if err := p.prepare(ctx); err != nil {
		return nil, err
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if err := p.Apply(ctx, c); err != nil {
		return nil, errors.Join(err, p.Stop(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func (p *Proxy) prepare(ctx context.Context) error {
	if err := p.env.validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(p.o.RunDir, 0o700); err != nil {
		return fmt.Errorf("run directory of haproxy: %w", err)
	}
	left, err := leftovers(p.path("haproxy.cfg"))
	if err != nil {
		return err
	}
	for _, old := range left {
		if err := old.End(ctx, 2*time.Second); err != nil {
			return fmt.Errorf("haproxy of an earlier run: %w", err)
		}
	}
	return atomicfile.Write(p.path("servers.state"), []byte(stateVersion), 0o600)
}

func (p *Proxy) path(name string) string { return filepath.Join(p.o.RunDir, name) }

// Apply makes c what is running, without losing a connection: it has the new
// file checked, reloads, and looks whether the new worker accepts on every
// frontend and knows every member. Otherwise the old file is put back and
// loaded again, and the error says why. An unchanged c is left alone.
func (p *Proxy) Apply(ctx context.Context, c Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return errors.New("the load balancer is stopped")
	}
	changed, err := p.stage(ctx, c)
	if err != nil || (!changed && p.master.running()) {
		return err
	}
	if err := p.swap(ctx, c, changed); err != nil {
		return fmt.Errorf("load balancer: %w", err)
	}
	p.config = c
	p.fault.Store(nil)
	return nil
}

// stage leaves a checked haproxy.cfg.new, unless haproxy.cfg is the same.
func (p *Proxy) stage(ctx context.Context, c Config) (changed bool, err error) {
	text, err := Render(c, p.env)
	if err != nil {
		return false, err
	}
	if now, err := os.ReadFile(p.path("haproxy.cfg")); err == nil && bytes.Equal(now, text) {
		return false, nil
	}
	file := p.path("haproxy.cfg.new")
	if err := atomicfile.Write(file, text, 0o600); err != nil {
		return false, err
	}
	if err := p.o.Binary.Check(ctx, file); err != nil {
		os.Remove(file)
		return false, err
	}
	return true, nil
}

// swap puts the staged file in place and has haproxy run it.
func (p *Proxy) swap(ctx context.Context, c Config, changed bool) error {
	if changed {
		if err := p.replace(); err != nil {
			return err
		}
	}
	if !p.master.running() {
		return p.launch(ctx, c)
	}
	err := p.reload(ctx, c)
	if err != nil {
		return errors.Join(err, p.restore(ctx))
	}
	return nil
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
func (p *Proxy) restore(ctx context.Context) error {
	if err := os.Rename(p.path("haproxy.cfg.prev"), p.path("haproxy.cfg")); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if !p.master.running() {
		return p.launch(ctx, p.config)
	}
	return p.reload(ctx, p.config)
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

// Servers asks haproxy for the health of all members.
func (p *Proxy) Servers(ctx context.Context) ([]Server, error) {
	answer, err := ask(ctx, p.path("haproxy.sock"), "show stat -1 4 -1")
	if err != nil {
		return nil, err
	}
	return parseStat(answer, time.Now())
}

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
func (p *Proxy) Logs() []string { return p.logs.tail(ringLines) }

// lastWords are the last alerts haproxy wrote, or the last lines of any kind.
func (p *Proxy) lastWords() string {
	lines := p.logs.tail(30)
	said := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !strings.Contains(line, "[ALERT]") })
	if len(said) == 0 {
		said = lines
	}
	return strings.Join(said[max(0, len(said)-5):], " | ")
}
