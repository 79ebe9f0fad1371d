package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-project/slipway/templates"
)

// runtimeServers is the first version that can add and remove servers at run
// time without being asked for experimental commands.
var runtimeServers = Version{2, 5, 0}

// A place is a member and the frontend it belongs to.
type place struct {
	frontend string
	Member
}

// String is what the runtime API calls it.
func (p place) String() string { return p.frontend + "/" + p.Name }

// A difference is what changed between two Configs besides their order.
type difference struct{ gone, added []place }

// difference returns how the members of c differ from those of p.config, and
// whether haproxy can take that at run time: with the same frontends, on which
// nobody is tracked (a dynamic server cannot be, a tracked one not be removed)
// and which have several members before and after (one alone is watched less).
func (p *Proxy) difference(c Config) (d difference, runtime bool) {
	runtime = !p.env.Version.Less(runtimeServers) && len(c.Frontends) == len(p.config.Frontends)
	before := map[string]Frontend{}
	for _, f := range p.config.Frontends {
		before[f.Name] = f
	}
	for _, f := range c.Frontends {
		old := before[f.Name]
		gone, added := missing(old, f), missing(f, old)
		d.gone, d.added = append(d.gone, gone...), append(d.added, added...)
		delete(before, f.Name)
		same := old.Bind == f.Bind && old.Check == f.Check && slices.Equal(old.Allow, f.Allow)
		several := len(old.Members) > 1 && len(f.Members) > 1
		moved := slices.ContainsFunc(gone, func(g place) bool {
			return slices.ContainsFunc(added, func(a place) bool { return a.Name == g.Name })
		})
		changed := len(gone)+len(added) > 0
		runtime = runtime && same && !moved && (!changed || several && checks[f.Check].Port == 0)
	}
	for _, old := range before { // a frontend that is no more
		d.gone = append(d.gone, missing(old, Frontend{})...)
	}
	return d, runtime
}

// missing lists the members of f that other lacks.
func missing(f, other Frontend) (list []place) {
	for _, m := range f.Members {
		if !slices.Contains(other.Members, m) {
			list = append(list, place{f.Name, m})
		}
	}
	return list
}

// depart takes members out of the running haproxy: those that are down, and
// the bootstrap host, with a reset for every session; the others get no new
// ones and may finish. p.mu is held.
func (p *Proxy) depart(ctx context.Context, gone []place, remove bool) error {
	st, err := p.Stats(ctx)
	if err != nil {
		return err
	}
	for _, g := range gone {
		up := slices.ContainsFunc(st.Servers, func(s Server) bool {
			return s.Frontend == g.frontend && s.Name == g.Name && s.Up
		})
		switch {
		case g.Role == RoleBootstrap || !up:
			err = p.expel(ctx, g, remove)
		case remove:
			err = p.drain(ctx, g)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// expel resets the sessions of a server that gets no more, and removes it.
func (p *Proxy) expel(ctx context.Context, g place, remove bool) error {
	commands := []string{"set server %s state maint", "shutdown sessions server %s"}
	if remove {
		commands = append(commands, "del server %s")
	}
	for _, command := range commands {
		if err := p.order(ctx, fmt.Sprintf(command, g)); err != nil && !errors.Is(err, errNoServer) {
			return err
		}
	}
	return nil
}

// readmit takes back what a change that failed has done to members.
func (p *Proxy) readmit(ctx context.Context, gone []place) (err error) {
	for _, g := range gone {
		err = errors.Join(err, p.order(ctx, "set server "+g.String()+" state ready"))
	}
	return err
}

// drain gives a server no new sessions, and expels it after a minute, or when
// it has none any more.
func (p *Proxy) drain(ctx context.Context, g place) error {
	if err := p.order(ctx, "set server "+g.String()+" state drain"); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(p.ctx, drainTime)
	p.drains[g.String()] = cancel
	p.wg.Go(func() {
		defer cancel()
		_ = until(wait, func() error { return p.idle(wait, g) })
		p.mu.Lock()
		defer p.mu.Unlock()
		if _, mine := p.drains[g.String()]; !mine || p.ctx.Err() != nil {
			return // it came back, or haproxy was reloaded without it
		}
		delete(p.drains, g.String())
		_ = p.expel(context.WithoutCancel(wait), g, true) // the next reload does what this could not
	})
	return nil
}

func (p *Proxy) idle(ctx context.Context, g place) error {
	st, err := p.Stats(ctx)
	if err != nil {
		return err
	}
	for _, s := range st.Servers {
		if s.Frontend == g.frontend && s.Name == g.Name && s.Sessions > 0 {
			return fmt.Errorf("%d sessions", s.Sessions)
		}
	}
	return nil
}

// admit adds a server to the running haproxy. It gets connections once its
// checks say so: others carry the load meanwhile.
func (p *Proxy) admit(ctx context.Context, a place, f templates.HAProxyFrontend) error {
	key := a.String()
	if stop := p.drains[key]; stop != nil {
		stop()
		delete(p.drains, key)
		return p.order(ctx, "set server "+key+" state ready")
	}
	options, err := templates.HAProxyOptions(f)
	if err != nil {
		return err
	}
	words := []string{"add server", key, a.Address.String(), "check", options}
	if a.Role == RoleBootstrap {
		words = append(words, "backup")
	}
	for _, command := range []string{strings.Join(words, " "), "enable health " + key, "set server " + key + " state ready", "set server " + key + " health down"} {
		if err := p.order(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

// errNoServer is haproxy's answer about a server that it does not have.
var errNoServer = errors.New("haproxy has no such server")

// order gives haproxy a command. What it answers to one that worked is known.
func (p *Proxy) order(ctx context.Context, command string) error {
	answer, err := ask(ctx, p.path("haproxy.sock"), command)
	answer = strings.TrimSpace(answer)
	if err == nil && answer == "No such server." {
		return fmt.Errorf("%s: %w", command, errNoServer)
	}
	if err == nil && answer != "" && !strings.HasPrefix(answer, "New server registered") && !strings.HasPrefix(answer, "Server deleted") {
		err = fmt.Errorf("haproxy refuses to %s: %s", command, answer)
	}
	return err
}

// stopDrains gives up waiting: after a reload, the old worker keeps those
// sessions for as long as its hard-stop-after lets it.
func (p *Proxy) stopDrains() {
	for _, stop := range p.drains {
		stop()
	}
	clear(p.drains)
}

// settleTime is how soon haproxy must know of a change at run time.
const settleTime = 3 * time.Second

// adjust makes the running haproxy have the members of c, and says whether it
// could. What it could not, a reload must. p.mu is held.
func (p *Proxy) adjust(ctx context.Context, c Config) bool {
	d, runtime := p.difference(c)
	if !runtime || !p.master.running() || len(d.gone)+len(d.added) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for _, a := range d.added {
		i := slices.IndexFunc(c.Frontends, func(f Frontend) bool { return f.Name == a.frontend })
		if p.admit(ctx, a, c.Frontends[i].data(nil, p.env)) != nil {
			return false
		}
	}
	if p.depart(ctx, d.gone, true) != nil {
		return false
	}
	states, err := ask(ctx, p.path("haproxy.sock"), "show servers state")
	return err == nil && complete(states, c) == nil
}
