package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/slipway-project/slipway/internal/qemu"
)

// A guest is one machine that was on once.
type guest struct {
	id, name string

	beginning sync.Mutex // one begin of a life at a time
	tray      sync.Mutex // held while it starts with what is in its tray, and while that is changed

	mu      sync.Mutex
	cut     context.CancelFunc // ends its life
	dead    chan struct{}      // closed when its life has ended; nil: it had none
	running *qemu.Running      // nil between two boots
	note    string
}

// alive reports whether the machine is on: running, or about to again.
func (g *guest) alive() bool {
	if g.dead == nil {
		return false
	}
	select {
	case <-g.dead:
		return false
	default:
		return true
	}
}

func (g *guest) look() Guest {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := Guest{On: g.alive(), Note: g.note}
	if g.running != nil {
		out.PID = g.running.PID
	}
	return out
}

// wait returns when a life that was cut has ended.
func (g *guest) wait() {
	g.mu.Lock()
	dead := g.dead
	g.mu.Unlock()
	if dead != nil {
		<-dead
	}
}

func (g *guest) say(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.note = fmt.Sprintf(format, args...)
}

func (g *guest) set(r *qemu.Running) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running = r
}

// on begins a life, and returns when the machine has started.
func (s *supervisor) on(ctx context.Context, o order) error {
	g, err := s.find(o.ID)
	if err != nil {
		return err
	}
	g.beginning.Lock()
	defer g.beginning.Unlock()
	if g.look().On {
		return nil
	}
	life, cut := context.WithCancel(s.ctx)
	started, dead := make(chan error, 1), make(chan struct{})
	g.mu.Lock()
	g.cut, g.dead, g.note = cut, dead, ""
	g.mu.Unlock()
	go func() {
		defer close(dead)
		defer cut()
		s.live(life, g, o, started)
	}()
	select {
	case err := <-started:
		return err
	case <-ctx.Done(): // who asked has gone; what it asked for is done all the same
		return context.Cause(ctx)
	}
}

// off ends a life at once, one that waits for its turn to boot too.
func (s *supervisor) off(_ context.Context, o order) error {
	g, err := s.find(o.ID)
	if err != nil {
		return err
	}
	g.mu.Lock()
	cut := g.cut
	g.mu.Unlock()
	if cut != nil {
		cut()
		g.wait()
		s.log("%s: off", g.name)
	}
	return nil
}

// media changes the tray of a machine that runs. One that does not finds the
// medium in its record when it starts.
func (s *supervisor) media(ctx context.Context, o order) error {
	g, err := s.find(o.ID)
	if err != nil {
		return err
	}
	g.tray.Lock()
	defer g.tray.Unlock()
	g.mu.Lock()
	r := g.running
	g.mu.Unlock()
	switch {
	case r == nil:
		return nil
	case o.Media == "":
		err = r.Eject(ctx)
	default:
		err = r.Insert(ctx, o.Media)
	}
	return unlessEnded(ctx, r, err)
}

// unlessEnded forgives that a machine has not answered which ended meanwhile:
// it reboots just when its installer has done with the medium.
func unlessEnded(ctx context.Context, r *qemu.Running, err error) error {
	if !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	select {
	case <-r.Ended():
		return nil
	case <-ctx.Done():
		return err
	}
}

// forget drops what happened to a machine: somebody has been told.
func (s *supervisor) forget(_ context.Context, o order) error {
	g, err := s.find(o.ID)
	if err == nil {
		g.say("")
	}
	return err
}

// live runs a machine until it is switched off, by whomever.
func (s *supervisor) live(ctx context.Context, g *guest, o order, started chan<- error) {
	for cycled := false; ; {
		r, err := s.start(ctx, g, o)
		select {
		case started <- err: // of the first start, which somebody waits for
		default:
		}
		if err != nil {
			g.say("it did not start: %v", err)
			s.log("%s: %v", g.name, err)
			return
		}
		end := s.attend(ctx, g, r)
		if ctx.Err() != nil {
			return
		}
		s.log("%s: ended: %s %v", g.name, end.Reason, end.Err)
		switch {
		case end.Reason == qemu.GuestReset:
		case errors.Is(end.Err, qemu.ErrSilent) && !cycled:
			cycled = true
			g.say("it hung at %s and was power-cycled", time.Now().Format(time.TimeOnly))
		case errors.Is(end.Err, qemu.ErrSilent):
			g.say("it hung again at %s and was switched off", time.Now().Format(time.TimeOnly))
			return
		case end.Reason == qemu.GuestShutdown:
			g.say("it switched itself off")
			return
		default:
			g.say("it ended: %s", explain(end))
			return
		}
	}
}

func explain(e qemu.End) string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return string(e.Reason)
}

// attend asks a machine how it is until it has ended. One that does not answer
// is killed: nothing else would end it.
func (s *supervisor) attend(ctx context.Context, g *guest, r *qemu.Running) qemu.End {
	defer g.set(nil)
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			r.Kill()
			return r.End()
		case <-r.Ended():
			return r.End()
		case <-tick.C:
		}
		if err := s.question(ctx, g, r); errors.Is(err, qemu.ErrSilent) {
			r.Kill()
			return qemu.End{Reason: qemu.Died, Err: err}
		}
	}
}

// question tells apart a machine that runs, one that QEMU has stopped, such as
// for a full disk, and one that is silent.
func (s *supervisor) question(ctx context.Context, g *guest, r *qemu.Running) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.Silence, qemu.ErrSilent)
	defer cancel()
	status, err := r.Status(ctx)
	if err == nil && status == "io-error" {
		g.say("QEMU stopped it: a disk of it cannot be written, is the file system full?")
	}
	return err
}

// start boots the machine as its record says now, when its turn has come.
func (s *supervisor) start(ctx context.Context, g *guest, o order) (*qemu.Running, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	g.tray.Lock()
	r, err := s.boot(ctx, o)
	g.set(r)
	g.tray.Unlock()
	if err != nil {
		<-s.slots
		return nil, err
	}
	s.log("%s: started, process %d", g.name, r.PID)
	go func() {
		defer func() { <-s.slots }()
		booting(r)
	}()
	return r, nil
}

func (s *supervisor) boot(ctx context.Context, o order) (*qemu.Running, error) {
	rec, err := read(s.Dir, o.ID)
	if err != nil {
		return nil, err
	}
	v := rec.vm(s.Dir, o)
	if err := bound(v.Serial()); err != nil {
		return nil, err
	}
	if err := evict(ctx, v); err != nil {
		return nil, err
	}
	taps, err := s.plug(ctx, rec, &v)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, t := range taps { // QEMU has its own descriptors
			t.Close()
		}
	}()
	return qemu.Start(ctx, v, taps...)
}

// evict ends what runs as v already: a machine dies with its supervisor, but
// not at the same instant.
func evict(ctx context.Context, v qemu.VM) error {
	left, err := v.Processes()
	for _, id := range left {
		err = errors.Join(err, id.End(ctx, 0))
	}
	return err
}

// mostConsole is how large a console log may be when a machine starts.
const mostConsole = 16 << 20

// bound begins a console log anew that has grown too large.
func bound(log string) error {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY, 0o600) // QEMU would make it readable to all
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() <= mostConsole {
		return err
	}
	return f.Truncate(0)
}
