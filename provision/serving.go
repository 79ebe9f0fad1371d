package provision

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/loadbalancer"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/services/remote"
	"github.com/slipway-project/slipway/provision/spec"
	"github.com/slipway-project/slipway/provision/state"
)

// A serving is a place where the services of a cluster run.
type serving interface {
	fmt.Stringer
	// check looks for what would keep d from being served there.
	check(ctx context.Context, d services.Document) []provider.Problem
	// exists reports whether anything of the services is there.
	exists(ctx context.Context) (bool, error)
	// status asks the services how they are.
	status(ctx context.Context) (services.Status, error)
	// serve has d served, by services that run already or by new ones.
	serve(ctx context.Context, d services.Document) error
	// stop ends the services and removes what they left.
	stop(ctx context.Context) error
}

// A servingAt is a place, and the address that it serves at.
type servingAt struct {
	serving
	at netip.Addr
}

// servings are where the services of the spec run: nowhere when they are the
// user's own.
func (p *Project) servings() []servingAt {
	s := p.cluster.Services
	switch s.Mode {
	case spec.ServicesExternal:
		return nil
	case spec.ServicesVM:
		return []servingAt{{&servicesMachine{p, *s.Machine, nil}, s.Address}}
	case spec.ServicesSSH:
		var all []servingAt
		for _, h := range s.Hosts {
			all = append(all, servingAt{&distant{p, h}, h.Address})
		}
		return all
	}
	return []servingAt{{&here{p, func(services.Handle) error { return nil }}, s.Address}}
}

// servings of a run record the process that is started, and may meet the
// services machine for the first time.
func (r *run) servings() []servingAt {
	all := r.Project.servings()
	for _, p := range all {
		switch at := p.serving.(type) {
		case *here:
			at.started = func(h services.Handle) error {
				return r.journal.Append(state.Record{Kind: state.Chose, Serve: &state.Process{PID: h.PID, Start: h.StartTime}})
			}
		case *servicesMachine:
			at.run = r
		}
	}
	return all
}

// here is this host: a detached serve follows the document beside the state.
type here struct {
	*Project
	started func(services.Handle) error
}

func (h *here) String() string { return "this host" }

func (h *here) check(ctx context.Context, d services.Document) []provider.Problem {
	return services.Preflight(ctx, d)
}

func (h *here) exists(context.Context) (bool, error) {
	found, err := services.Find(h.cluster.FullName())
	return len(found) > 0, err
}

func (h *here) status(ctx context.Context) (services.Status, error) {
	return services.Ask(ctx, h.runDir())
}

// serve has the document beside the state followed, which is d.
func (h *here) serve(ctx context.Context, d services.Document) error {
	if err := services.MakeRoom(ctx, h.cluster.FullName(), h.runDir()); err != nil {
		return err
	}
	if _, err := h.status(ctx); err == nil {
		return services.WaitServed(ctx, h.runDir(), d.Serial)
	}
	started, err := services.Start(ctx, services.StartOptions{Exe: h.Exe, Document: h.document(), RunDir: h.runDir(),
		Owner: h.cluster.FullName(), Log: h.serveLog(), Env: h.serveEnv()})
	if err != nil {
		return err
	}
	return h.started(started)
}

func (h *here) stop(ctx context.Context) error {
	handles, err := services.Find(h.cluster.FullName())
	if err != nil {
		return err
	}
	for _, handle := range handles {
		if err := services.Stop(ctx, handle); err != nil {
			return fmt.Errorf("pid %d: %w", handle.PID, err)
		}
	}
	err = os.RemoveAll(h.runDir())
	_ = os.Remove(filepath.Dir(h.runDir())) // when it was the last one
	return err
}

// distant is a services host.
type distant struct {
	*Project
	host spec.ServicesHost
}

func (d *distant) String() string { return d.host.Host }

// A login opens a host that the services run on.
type login func(context.Context) (*remote.Host, error)

// on logs in for one piece of work.
func (l login) on(ctx context.Context, work func(*remote.Host) error) error {
	h, err := l(ctx)
	if err != nil {
		return err
	}
	defer h.Close()
	return work(h)
}

func (l login) installed(ctx context.Context) (there bool, err error) {
	err = l.on(ctx, func(h *remote.Host) (err error) {
		there, err = h.Installed(ctx)
		return err
	})
	return there, err
}

func (l login) status(ctx context.Context) (st services.Status, err error) {
	err = l.on(ctx, func(h *remote.Host) (err error) {
		st, err = h.Status(ctx)
		return err
	})
	return st, err
}

func (d *distant) dial(ctx context.Context) (*remote.Host, error) {
	home, _ := d.LookupEnv("HOME")
	socket, _ := d.LookupEnv("SSH_AUTH_SOCK")
	signers, done, err := sshx.Identities(d.host.Key, socket, home)
	if err != nil {
		return nil, fmt.Errorf("services host %s: %w", d.host.Host, err)
	}
	defer done()
	return remote.Dial(ctx, remote.Target{Host: d.host.Host, Port: uint16(d.host.Port), User: d.host.User, Signers: signers,
		HostKey: d.host.HostKey, KnownHosts: []string{filepath.Join(home, ".ssh", "known_hosts"), "/etc/ssh/ssh_known_hosts"}}, d.cluster.FullName())
}

func (d *distant) check(ctx context.Context, doc services.Document) (problems []provider.Problem) {
	err := login(d.dial).on(ctx, func(h *remote.Host) error {
		problems = h.Check(ctx, doc)
		return nil
	})
	if err != nil {
		problems = []provider.Problem{{What: err.Error(), Hint: hint.Of(err), Fatal: true, Err: err}}
	}
	return problems
}

func (d *distant) exists(ctx context.Context) (bool, error) { return login(d.dial).installed(ctx) }

func (d *distant) status(ctx context.Context) (services.Status, error) {
	return login(d.dial).status(ctx)
}

func (d *distant) serve(ctx context.Context, doc services.Document) error {
	return login(d.dial).on(ctx, func(h *remote.Host) error { return h.Apply(ctx, d.Exe, doc, false) })
}

func (d *distant) stop(ctx context.Context) error {
	return login(d.dial).on(ctx, func(h *remote.Host) error { return h.Remove(ctx, d.Exe) })
}

// servicesOff reports whether the services have a machine of their own, and
// among those that exist it is not, or off: nobody is to be asked.
func (p *Project) servicesOff(machines []provider.Machine) bool {
	return p.cluster.Services.Machine != nil && !slices.ContainsFunc(machines, func(m provider.Machine) bool {
		return m.Node == spec.ServicesName && m.Power != provider.PowerOff
	})
}

// servicesExist reports whether anything of the services is anywhere.
func (p *Project) servicesExist(ctx context.Context, machines []provider.Machine) (bool, error) {
	if p.servicesOff(machines) {
		return false, nil
	}
	var errs []error
	for _, at := range p.servings() {
		there, err := at.exists(ctx)
		if there {
			return true, nil
		}
		errs = append(errs, err)
	}
	return false, errors.Join(errs...)
}

// checkServices looks at every place, and at what of the services is the
// user's own.
func (p *Project) checkServices(ctx context.Context) (problems []provider.Problem) {
	problems = p.checkPlaces(ctx, p.servings())
	if p.cluster.Services.Balancer.Mode == spec.BalancerExternal {
		problems = append(problems, checkBalancer(ctx, p.Balancers()[0])...)
	}
	return problems
}

func (p *Project) checkPlaces(ctx context.Context, places []servingAt) (problems []provider.Problem) {
	for i, at := range places {
		found := at.check(ctx, p.wantServicesAt(1, at.at))
		if isFatal(found) && anyServes(ctx, slices.Delete(slices.Clone(places), i, i+1)) { // one of two may die
			for j := range found {
				found[j].Fatal = false
			}
		}
		problems = append(problems, found...)
	}
	return problems
}

func isFatal(problems []provider.Problem) bool {
	return slices.ContainsFunc(problems, func(p provider.Problem) bool { return p.Fatal })
}

// anyServes reports whether one of the places serves.
func anyServes(ctx context.Context, places []servingAt) bool {
	return slices.ContainsFunc(places, func(at servingAt) bool {
		_, err := at.status(ctx)
		return err == nil
	})
}

// checkBalancer warns of a load balancer of the user's own that does not accept
// connections. Behind one that does may be nobody yet.
func checkBalancer(ctx context.Context, c loadbalancer.Config) []provider.Problem {
	deaf := loadbalancer.Deaf(ctx, c)
	if len(deaf) == 0 {
		return nil
	}
	var ports []string
	for _, a := range deaf {
		ports = append(ports, fmt.Sprint(a.Port()))
	}
	return []provider.Problem{{What: fmt.Sprintf("your load balancer at %s accepts no connections at %s", deaf[0].Addr(), strings.Join(ports, ", ")),
		Hint: "`slipway lb render` prints a configuration for it, `slipway lb check` asks every port as the cluster will"}}
}

// servicesStatus is how the services are, in a few words.
func (p *Project) servicesStatus(ctx context.Context, machines []provider.Machine) string {
	switch {
	case p.cluster.Services.Mode == spec.ServicesExternal:
		return "external"
	case p.servicesOff(machines):
		return "stopped"
	}
	places := p.servings()
	var words []string
	for _, at := range places {
		word := "serving"
		switch status, err := at.status(ctx); {
		case err != nil:
			word = "stopped"
		case status.Error != "":
			word = "serving, but: " + status.Error
		}
		if len(places) > 1 {
			word = at.String() + ": " + word
		}
		words = append(words, word)
	}
	return strings.Join(words, "; ")
}

// haveServed has the document served at every place. Where there are several,
// one that fails is only warned of: what makes the cluster goes on with the
// others.
func (r *run) haveServed(ctx context.Context, serial uint64) error {
	places := r.servings()
	failed := make([]error, len(places))
	var group sync.WaitGroup
	for i, at := range places {
		group.Go(func() {
			if err := at.serve(ctx, r.wantServicesAt(serial, at.at)); err != nil {
				failed[i] = fmt.Errorf("services on %s: %w", at, err)
			}
		})
	}
	group.Wait()
	errs := slices.DeleteFunc(failed, func(err error) bool { return err == nil })
	if len(errs) == len(places) || ctx.Err() != nil {
		return errors.Join(errs...)
	}
	for _, err := range errs {
		r.emit(event.Event{Kind: event.Warning, Message: err.Error(), Hint: hint.Of(err)})
	}
	return nil
}

// servicesBudget is what starting the services may take: on another host,
// packages are installed first.
func (r *run) servicesBudget() time.Duration {
	switch r.cluster.Services.Mode {
	case spec.ServicesSSH:
		return 10 * time.Minute
	case spec.ServicesVM:
		return machineStarts + 15*time.Minute
	}
	return time.Minute
}
