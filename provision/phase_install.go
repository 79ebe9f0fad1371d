package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/spec"
	"github.com/slipway-project/slipway/provision/state"
)

const (
	pollEvery      = 5 * time.Second  // the service itself looks every 8-10 s
	blindFor       = 10 * time.Minute // without one good answer of the installer
	stallDiscovery = 15 * time.Minute // without any change
	stallInstall   = 60 * time.Minute // the longest stage limit of the service
	maxWrongBoots  = 3
	maxBeginnings  = 4 // of one installation, whose preparation may be given up
)

func (r *run) poll(ctx context.Context) (installer.Progress, error) {
	return r.pollFor(ctx, r.wantCluster(r.mark(), r.keys))
}

func (r *run) pollFor(ctx context.Context, want installer.Cluster) (installer.Progress, error) {
	ref := r.journal.Document().Ref
	if ref == nil {
		return installer.Progress{}, errors.New("nothing is registered with the installer")
	}
	p, err := r.installer.Poll(ctx, want, *ref)
	if err == nil && slices.ContainsFunc(r.cluster.Nodes, spec.Node.DHCP) {
		err = r.learnFromHosts(ctx, p.Hosts)
	}
	return p, err
}

// watch polls until until says so, fails, or nothing new is seen for too long.
// What was seen before is not new: a host that comes and goes makes no
// progress.
func (r *run) watch(ctx context.Context, patience time.Duration, until func(installer.Progress) (bool, error)) error {
	var last installer.Progress
	want := r.wantCluster(r.mark(), r.keys)
	changed, answered, seen := time.Now(), time.Now(), sights{}
	for {
		r.tellNotices(ctx)
		p, err := r.pollFor(ctx, want)
		if err == nil {
			answered = time.Now()
			if !reflect.DeepEqual(p, last) {
				r.tell(p)
				if seen.isNew(fmt.Sprint(p)) {
					changed = answered
					phase.Progress(ctx)
				}
			}
			last = p
			if ok, err := until(p); ok || err != nil {
				return err
			}
		}
		switch {
		case time.Since(answered) > r.Pace.Budget(blindFor):
			return phase.Final(fmt.Errorf("the installer has not answered for %s: %w", time.Since(answered).Round(time.Second), err))
		case time.Since(changed) > r.Pace.Budget(patience):
			return fmt.Errorf("nothing has changed for %s: %w", time.Since(changed).Round(time.Second), r.explain(ctx, p))
		}
		if waitErr := r.Pace.Wait(ctx, pollEvery); waitErr != nil {
			return fmt.Errorf("%w: %w", waitErr, r.explain(context.WithoutCancel(ctx), p))
		}
	}
}

// sights are what was seen of something, to tell what is new.
type sights map[string]bool

func (s sights) isNew(sight string) bool {
	again := s[sight]
	s[sight] = true
	return !again
}

// tell turns a look at the installation into events.
func (r *run) tell(p installer.Progress) {
	stage := string(p.State)
	if p.Stage != "" {
		stage += ": " + p.Stage
	}
	r.stage("", stage, p.Percent)
	for _, h := range p.Hosts {
		if !h.Seen {
			continue
		}
		r.stage(h.Node, stageOf(h), h.Percent)
	}
	for _, stranger := range p.Strange {
		r.once("host " + stranger + " booted this cluster's image but is not in the spec: the installation waits until it is gone")
	}
}

func stageOf(h installer.HostProgress) string {
	if h.Failed {
		return h.State + ": " + h.Info
	}
	return cmp.Or(h.Stage, h.State)
}

// once warns of something the first time only.
func (r *run) once(warning string) {
	r.mu.Lock()
	again := r.warned[warning]
	r.warned[warning] = true
	r.mu.Unlock()
	if !again {
		r.emit(event.Event{Kind: event.Warning, Message: warning})
	}
}

// discovered reports whether the installation is past discovery.
func (r *run) discovered(ctx context.Context) (bool, error) {
	if r.whole {
		return true, nil
	}
	p, err := r.poll(ctx)
	return err == nil && p.State != installer.Discovering && p.State != installer.Failed, err
}

func (r *run) discover(ctx context.Context) error {
	return r.watch(ctx, stallDiscovery, func(p installer.Progress) (bool, error) {
		return p.State != installer.Discovering, r.failed(p)
	})
}

func (r *run) installed(ctx context.Context) (bool, error) {
	if r.whole {
		return true, nil
	}
	p, err := r.poll(ctx)
	return err == nil && p.State == installer.Installed && r.allEjected(r.journal.Document()), err
}

// install begins the installation and sees it through: as soon as a host runs
// from its disk its boot media are taken out. A service that gives up preparing
// it, because a host was silent for a moment, is ready for it again.
func (r *run) install(ctx context.Context) error {
	if err := r.installer.Install(ctx, *r.journal.Document().Ref); err != nil {
		return err
	}
	wrongBoots := map[string]int{}
	answered, beginnings := false, 1
	err := r.watch(ctx, stallInstall, func(p installer.Progress) (bool, error) {
		answered = answered || slices.ContainsFunc(p.Hosts, func(h installer.HostProgress) bool { return h.Rebooted })
		if err := r.failed(p); err != nil {
			return false, err
		}
		if p.State == installer.Ready {
			beginnings++
			return false, r.beginAgain(ctx, p, beginnings)
		}
		for _, h := range p.Hosts {
			if err := r.attend(ctx, h, wrongBoots); err != nil {
				return false, err
			}
		}
		return p.State == installer.Installed, nil
	})
	if err != nil && !answered && !errors.Is(err, ErrInterrupted) {
		return &bootstrapError{err}
	}
	return err
}

// beginAgain begins the installation for the nth time. What the service has
// against it is met, or not, by the next look.
func (r *run) beginAgain(ctx context.Context, p installer.Progress, n int) error {
	if n > maxBeginnings {
		return fmt.Errorf("the installer has given up preparing the installation %d times: %s", maxBeginnings, p.Info)
	}
	message := "the installer has given up preparing the installation (" + p.Info + "): beginning it again"
	if err := r.installer.Install(ctx, *r.journal.Document().Ref); err != nil {
		message += ", in vain: " + err.Error()
	}
	r.emit(event.Event{Kind: event.Warning, Message: message})
	return nil
}

// attend ejects the media of a host that has rebooted, and power-cycles one
// that has booted its image again.
func (r *run) attend(ctx context.Context, h installer.HostProgress, wrongBoots map[string]int) error {
	doc := r.journal.Document()
	if (h.Rebooted || h.WrongBoot || h.Done) && !doc.Ejected[h.Node] {
		if err := r.provider.Eject(ctx, doc.Machines[h.Node]); err != nil {
			return fmt.Errorf("eject the boot image of %s: %w", h.Node, err)
		}
		if err := r.journal.Append(state.Record{Kind: state.Ejected, Node: h.Node}); err != nil {
			return err
		}
	}
	if !h.WrongBoot {
		return nil
	}
	if wrongBoots[h.Node]++; wrongBoots[h.Node] > maxWrongBoots {
		return fmt.Errorf("%s does not boot from its disk: %s", h.Node, h.Info)
	}
	r.emit(event.Event{Kind: event.Warning, Node: h.Node, Message: h.Node + " booted its image again instead of its disk: power-cycling it"})
	m := doc.Machines[h.Node]
	if err := r.provider.PowerOff(ctx, m); err != nil {
		return err
	}
	return r.provider.PowerOn(ctx, m)
}

func (r *run) failed(p installer.Progress) error {
	if p.State != installer.Failed {
		return nil
	}
	why := []string{p.Info}
	for _, h := range p.Hosts {
		if h.Failed {
			why = append(why, h.Node+": "+h.Info)
		}
	}
	return hint.With(fmt.Errorf("the installer gave up: %s", strings.Join(why, "; ")),
		"it does not go on with an installation that has failed: `slipway gather` keeps what is known of it, `slipway down` and `slipway up` begin anew")
}

// explain says what stands in the way, in the words of whoever knows best:
// the installer's validations, or our own attempt to reach a silent host.
func (r *run) explain(ctx context.Context, p installer.Progress) error {
	var why []string
	for _, f := range p.Blocking {
		why = append(why, f.String())
	}
	silent := r.explainAllSilent(ctx, p)
	for i, h := range p.Hosts {
		if !h.Seen {
			why = append(why, silent[i])
		} else if !h.Fit && h.Info != "" && p.State == installer.Discovering {
			why = append(why, h.Node+": "+h.Info)
		}
	}
	if len(why) == 0 {
		why = append(why, p.Info)
	}
	return errors.New(strings.Join(why, "; "))
}

// explainAllSilent asks all hosts that have not registered side by side, for
// each may take its time.
func (r *run) explainAllSilent(ctx context.Context, p installer.Progress) []string {
	why := make([]string, len(p.Hosts))
	var group sync.WaitGroup
	for i, h := range p.Hosts {
		if !h.Seen {
			group.Go(func() { why[i] = r.explainSilent(ctx, r.cluster.Nodes[i]) })
		}
	}
	group.Wait()
	return why
}

// explainSilent tries to log in to a host that has not registered.
func (r *run) explainSilent(ctx context.Context, n spec.Node) string {
	if r.located(n).DHCP() {
		return fmt.Sprintf("%s has not registered: has the DHCP server given an address to %s?", n.Name, n.MAC)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client, err := r.login(ctx, n, "live")
	if err == nil {
		client.Close()
		return n.Name + " answers over SSH but its agent has not registered: look at `journalctl -u agent` there"
	}
	var failure *sshx.Error
	if errors.As(err, &failure) {
		return fmt.Sprintf("%s has not registered and %s", n.Name, failure.Class.Advice())
	}
	return n.Name + " has not registered"
}
