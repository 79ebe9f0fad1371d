package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/services/remote"
	"github.com/slipway-project/slipway/provision/spec"
)

const (
	servicesHost  = spec.ServicesName + " installed" // its entry among the host keys, as that of a node
	machineStarts = 10 * time.Minute                 // until its sshd answers
	machineAdmits = 2 * time.Minute                  // of those: until cloud-init has let our key in
	loginEvery    = 3 * time.Second
)

// A servicesMachine is the one that the services run on, which slipway has
// made itself: the cluster's own key opens it, and the host key that it shows
// first is its own.
type servicesMachine struct {
	*Project
	machine spec.ServicesMachine
	run     *run // nil: nobody may be met for the first time
}

func (m *servicesMachine) String() string { return m.machine.Full }

// check finds what keeps this program from running there. All else about a
// machine that slipway makes is the provider's to check.
func (m *servicesMachine) check(context.Context, services.Document) []provider.Problem {
	err := remote.CheckProgram(m.Exe)
	if err == nil {
		return nil
	}
	return []provider.Problem{{What: err.Error(), Hint: hint.Of(err), Fatal: true, Err: err}}
}

// exists is asked of a machine that runs. One that does not answer serves
// nothing, whatever is on its disk.
func (m *servicesMachine) exists(ctx context.Context) (bool, error) {
	there, _ := login(m.dial).installed(ctx)
	return there, nil
}

func (m *servicesMachine) status(ctx context.Context) (services.Status, error) {
	return login(m.dial).status(ctx)
}

func (m *servicesMachine) serve(ctx context.Context, d services.Document) error {
	return login(m.await).on(ctx, func(h *remote.Host) error {
		if err := h.Settle(ctx); err != nil {
			return err
		}
		return h.Apply(ctx, m.Exe, d, false)
	})
}

// stop leaves it to the end of the machine.
func (m *servicesMachine) stop(context.Context) error { return nil }

// await logs in as soon as the machine lets us.
func (m *servicesMachine) await(ctx context.Context) (*remote.Host, error) {
	var before error
	for began := time.Now(); ; {
		h, err := m.dial(ctx)
		waited := time.Since(began)
		switch {
		case err == nil:
			return h, nil
		case ctx.Err() != nil && before != nil: // err says no more than that
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), m.explain(before, waited))
		case !m.mayPass(err, waited):
			return nil, m.explain(err, waited)
		}
		before = err
		m.run.stage("", fmt.Sprintf("waiting for %s to let us in", m), 0)
		_ = m.Pace.Wait(ctx, loginEvery) // whose end the next look meets
	}
}

// mayPass reports whether a machine that was switched on that long ago may
// let us in yet.
func (m *servicesMachine) mayPass(err error, waited time.Duration) bool {
	failure := new(sshx.Error)
	if !errors.As(err, &failure) {
		return false
	}
	if failure.Class == sshx.Auth {
		return waited < m.Pace.Budget(machineAdmits)
	}
	return failure.Transient() && waited < m.Pace.Budget(machineStarts)
}

// explain says what stands between us and a machine of ours.
func (m *servicesMachine) explain(err error, waited time.Duration) error {
	failure := new(sshx.Error)
	if !errors.As(err, &failure) {
		return err
	}
	advice := failure.Class.Advice()
	switch {
	case failure.Class == sshx.HostKey:
		advice = "another machine has its address, or somebody installed it anew; look at its console in the provider. To have it made anew, remove it there and run `slipway up`"
	case failure.Class == sshx.Auth:
		advice = "it knows another key than this state has: another state made it, or its image has no cloud-init. To have it made anew, remove it in the provider and run `slipway up`"
	case failure.Transient():
		err = fmt.Errorf("it has let nobody in for %s: %w", waited.Round(time.Second), err)
		advice = "look at its console in the provider: does it boot, and has cloud-init given it its address? " + advice
	}
	return phase.Final(hint.With(err, advice))
}

// dial logs in. Only a run meets a machine for the first time: then the key
// that it shows is kept once it has let us in.
func (m *servicesMachine) dial(ctx context.Context) (*remote.Host, error) {
	known, err := m.hostKey()
	if err != nil {
		return nil, err
	}
	switch {
	case known.Algorithms() != nil:
		return m.dialWith(ctx, known)
	case m.run == nil:
		return nil, fmt.Errorf("the host key of %s is not known: `slipway up` has not met it yet", m)
	}
	first := &shown{}
	h, err := m.dialWith(ctx, first)
	if err != nil {
		return nil, err
	}
	m.emit(event.Event{Kind: event.Note, Message: fmt.Sprintf("host key %s of %s is trusted on first use", ssh.FingerprintSHA256(first.key), m)})
	if err := known.Check(first.key); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// hostKey is its entry in the book, of which a run has one open.
func (m *servicesMachine) hostKey() (sshx.HostKeys, error) {
	if m.run != nil {
		return m.run.hosts.Entry(servicesHost), nil
	}
	book, err := sshx.OpenBook(m.file("host_keys.json"))
	if err != nil {
		return nil, err
	}
	return book.Entry(servicesHost), nil
}

// dialWith logs in with the cluster's key.
func (m *servicesMachine) dialWith(ctx context.Context, keys sshx.HostKeys) (*remote.Host, error) {
	signers, done, err := sshx.Identities(m.SSHKey(), "", "")
	if err != nil {
		return nil, err
	}
	defer done()
	return remote.Dial(ctx, remote.Target{Host: m.machine.Address.String(), Port: sshPort, User: m.machine.User, Signers: signers, Keys: keys}, m.cluster.FullName())
}

// refuseMove says that the services have got another address than their
// machine was made with: cloud-init would take the guest for a new one.
func (r *run) refuseMove() error {
	m := r.cluster.Services.Machine
	_, there := r.machine(spec.ServicesName)
	if m == nil || !there {
		return nil
	}
	book, err := sshx.OpenBook(r.file("host_keys.json"))
	if err != nil {
		return err
	}
	served, err := services.Read(r.document())
	ports := served.Ports()
	if err != nil || len(ports) == 0 || book.Entry(servicesHost).Algorithms() == nil { // it has served nothing yet
		return nil
	}
	if now := ports[0].Addr.Addr(); now != m.Address {
		return &PreflightError{[]provider.Problem{{Fatal: true, What: fmt.Sprintf("machine %s has the address %s, and the spec says %s", m.Full, now, m.Address),
			Hint: "a machine keeps the address that it was made with: write that one, or remove the machine in the provider, and `slipway up` makes another"}}}
	}
	return nil
}
