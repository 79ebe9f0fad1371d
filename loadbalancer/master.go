package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/process"
)

const (
	confirmTime = 10 * time.Second       // for a start or a reload to be seen working
	stopTime    = 5 * time.Second        // before a stop becomes a kill
	pause       = 300 * time.Millisecond // more before each restart in a row
	maxDeaths   = 5                      // in a minute; then it is not started again
)

// A master is the process that haproxy's workers belong to, and the leader of
// their group. The nil master never ran.
type master struct {
	process.ID
	done   chan struct{} // closed once it has ended and was waited for
	worked bool          // it was seen working; guarded by Proxy.mu
}

func (m *master) running() bool {
	if m == nil {
		return false
	}
	select {
	case <-m.done:
		return false
	default:
		return true
	}
}

// stop ends the whole group and waits for the master.
func (m *master) stop(ctx context.Context) error {
	if m == nil {
		return nil
	}
	err := m.End(ctx, stopTime)
	m.sweep()
	<-m.done
	return err
}

// sweep kills workers that outlived their master, which they end without.
func (m *master) sweep() { _ = process.Signal(-m.PID, syscall.SIGKILL) }

// launch starts a master and waits until it works with c; one that does not
// is ended. p.mu is held.
func (p *Proxy) launch(ctx context.Context, c Config) error {
	p.stopDrains()
	if err := p.forgetStates(); err != nil {
		return err
	}
	p.log.trim()
	log, err := p.log.open()
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.o.Binary.Path, p.args()...)
	cmd.Dir = p.o.RunDir
	cmd.Env = []string{} // configurations expand environment variables; ours has none to
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.o.Binary.Path, err)
	}
	self, err := process.Identify(cmd.Process.Pid)
	m := &master{ID: self, done: make(chan struct{})}
	p.master = m
	p.wg.Go(func() {
		err := cmd.Wait()
		close(m.done)
		p.attend(m, err)
	})
	if err == nil {
		err = p.confirm(ctx, c, procs{reloads: -1})
	}
	if err != nil {
		return errors.Join(err, m.stop(ctx))
	}
	m.worked = true
	return nil
}

func (p *Proxy) args() []string {
	args := []string{"-W", "-db", "-S", p.path("master.sock") + ",mode,600", "-f", p.path("haproxy.cfg")}
	if p.o.Label != "" {
		args = append(args, "-L", p.o.Label)
	}
	return args
}

// reload has the master start a new worker and retire the old one, which
// hands over its listening sockets and its knowledge of the servers' health:
// a new worker presumes every server up; p.mu is held.
func (p *Proxy) reload(ctx context.Context, c Config) error {
	before, err := p.procs(ctx)
	if err != nil {
		return err
	}
	if d, _ := p.difference(c); len(d.gone) > 0 {
		if err := p.depart(ctx, d.gone, false); err != nil {
			return err
		}
	}
	p.stopDrains()
	p.log.trim()
	states, err := ask(ctx, p.path("haproxy.sock"), "show servers state")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(p.path("servers.state"), []byte(stateFile(states, c)), 0o600); err != nil {
		return err
	}
	if err := process.Signal(p.master.PID, syscall.SIGUSR2); err != nil {
		return fmt.Errorf("reload haproxy: %w", err)
	}
	return p.confirm(ctx, c, before)
}

func (p *Proxy) procs(ctx context.Context) (procs, error) {
	answer, err := ask(ctx, p.path("master.sock"), "show proc")
	if err != nil {
		return procs{}, err
	}
	return parseProcs(answer)
}

// errFinal marks what waiting does not mend.
var errFinal = errors.New("haproxy does not run the new configuration")

// confirm waits until a worker newer than those before works with c.
func (p *Proxy) confirm(ctx context.Context, c Config, before procs) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTime)
	defer cancel()
	var final error
	err := until(ctx, func() error {
		err := p.confirmed(ctx, c, before)
		if errors.Is(err, errFinal) {
			final, err = err, nil
		}
		return err
	})
	if err = errors.Join(final, err); err != nil {
		return fmt.Errorf("%w (haproxy's last words: %s)", err, p.log.lastWords())
	}
	return nil
}

func (p *Proxy) confirmed(ctx context.Context, c Config, before procs) error {
	if !p.master.running() {
		return fmt.Errorf("%w: it ended", errFinal)
	}
	now, err := p.procs(ctx)
	if err == nil {
		err = now.renewed(before)
	}
	if err != nil {
		return err
	}
	if err := accepting(ctx, c); err != nil {
		return err
	}
	answer, err := ask(ctx, p.path("haproxy.sock"), "show info;show servers state")
	if err != nil {
		return err
	}
	if !strings.Contains(answer, fmt.Sprintf("\nPid: %d\n", now.worker)) { // the new one is not ready
		return errors.New("haproxy's old worker still answers")
	}
	return complete(answer, c)
}

// renewed says whether the current worker is another than before.
func (now procs) renewed(before procs) error {
	switch {
	case now.reloads > before.reloads && now.failed > 0:
		return fmt.Errorf("%w: its reload failed", errFinal)
	case now.worker == before.worker:
		return errors.New("haproxy's old worker is still the current one")
	}
	return nil
}

func accepting(ctx context.Context, c Config) error {
	dialer := net.Dialer{Timeout: time.Second}
	for _, f := range c.Frontends {
		conn, err := dialer.DialContext(ctx, "tcp", f.Bind.String())
		if err != nil {
			return fmt.Errorf("frontend %q: %w", f.Name, err)
		}
		conn.Close()
	}
	return nil
}

// attend starts another master after the end of m, if m worked and nobody
// wanted that end.
func (p *Proxy) attend(m *master, cause error) {
	<-m.done
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.master != m || !m.worked {
		return
	}
	m.sweep()
	if err := p.revive(cause); err != nil {
		p.fault.Store(&err)
	}
}

// revive starts haproxy again until it works or has died too often; p.mu is
// held.
func (p *Proxy) revive(cause error) error {
	for p.died() <= maxDeaths {
		select {
		case <-p.ctx.Done():
			return nil
		case <-time.After(time.Duration(len(p.deaths)-1) * pause):
		}
		if cause = p.launch(p.ctx, p.config); cause == nil {
			p.restarts.Add(1)
			return nil
		}
	}
	return fmt.Errorf("haproxy died %d times within a minute and is not started again: %w (its last words: %s)", len(p.deaths), cause, p.log.lastWords())
}

// died counts a death and returns how many there were within a minute.
func (p *Proxy) died() int {
	now := time.Now()
	p.deaths = slices.DeleteFunc(p.deaths, func(t time.Time) bool { return now.Sub(t) > time.Minute })
	p.deaths = append(p.deaths, now)
	return len(p.deaths)
}

// leftovers finds the haproxy processes that run the given file.
func leftovers(file string) ([]process.ID, error) {
	return process.List(func(args []string) bool { return isHAProxy(args) && hasOption(args, "-f", file) })
}

// Running finds the masters that were started with the label, also those whose
// Proxy is no more.
func Running(label string) ([]process.ID, error) {
	found, err := process.List(func(args []string) bool { return isHAProxy(args) && hasOption(args, "-L", label) })
	return slices.DeleteFunc(found, func(p process.ID) bool { return !p.Leads() }), err
}

func isHAProxy(args []string) bool { return len(args) > 0 && filepath.Base(args[0]) == "haproxy" }

func hasOption(args []string, option, value string) bool {
	i := slices.Index(args, option)
	return i >= 0 && i+1 < len(args) && args[i+1] == value
}
