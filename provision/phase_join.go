package provision

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/probe"
	"github.com/slipway-project/slipway/provision/spec"
)

const (
	sshPort    = 22
	joinEvery  = 10 * time.Second
	settleFor  = 30 * time.Second // the installer's own stability threshold
	healthTime = 20 * time.Second
)

func (r *run) credentialsKept(context.Context) (bool, error) {
	_, err := os.Stat(r.Kubeconfig())
	return r.whole && err == nil, nil
}

// keepCredentials fetches kubeconfig and password and keeps them 0600.
func (r *run) keepCredentials(ctx context.Context) error {
	c, err := r.installer.Credentials(ctx, r.wantCluster(r.mark(), r.keys), *r.journal.Document().Ref)
	if err != nil {
		return fmt.Errorf("fetch credentials: %w", err)
	}
	return errors.Join(
		atomicfile.Write(r.Kubeconfig(), c.Kubeconfig, 0o600),
		atomicfile.Write(r.Password(), []byte(c.Password+"\n"), 0o600))
}

// api opens the cluster's API at the given address; the name in the
// kubeconfig is verified but not resolved.
func (p *Project) api(at netip.Addr) (*kube.Client, error) {
	data, err := os.ReadFile(p.Kubeconfig())
	if err != nil {
		return nil, err
	}
	k, err := kube.Parse(data)
	if err != nil {
		return nil, err
	}
	if end := k.Expires(); !end.IsZero() && time.Now().After(end) {
		return nil, fmt.Errorf("the client certificate in %s ended on %s", p.Kubeconfig(), end.Format(time.DateTime))
	}
	return kube.NewClient(k, at), nil
}

// joinReport looks once whether the cluster is whole.
func (p *Project) joinReport(ctx context.Context) (report kube.Report, err error) {
	err = p.withAPI(func(client *kube.Client) (err error) {
		report, err = client.Look(ctx, p.wantNodes())
		return err
	})
	return report, err
}

// join waits until the nodes equal the spec, are Ready, and every operator is
// Available, and it has stayed so for as long as the installer itself asks.
func (r *run) join(ctx context.Context) error {
	var since time.Time // when it was first seen whole without a break
	seen := sights{}
	for {
		report, err := r.joinReport(ctx)
		if err == nil {
			err = r.learnFromNodes(ctx, report.Nodes)
		}
		switch {
		case err != nil || !report.Joined():
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		if err == nil {
			r.report = report
			r.tellJoin(report)
			if seen.isNew(standing(report)) {
				phase.Progress(ctx)
			}
		}
		if !since.IsZero() && time.Since(since) >= r.Pace.Scale(settleFor) {
			return nil
		}
		if waitErr := r.Pace.Wait(ctx, joinEvery); waitErr != nil {
			return fmt.Errorf("%w: %w", waitErr, r.explainJoin(context.WithoutCancel(ctx), report, err))
		}
	}
}

// standing is where nodes and operators stand, without their words, which may
// change while nothing moves.
func standing(report kube.Report) string {
	var all []string
	for _, n := range report.Nodes {
		all = append(all, fmt.Sprint(n.Name, n.Ready, n.Roles))
	}
	for _, o := range report.Operators {
		all = append(all, fmt.Sprint(o.Name, o.Available, o.Progressing, o.Degraded))
	}
	return strings.Join(all, "\n")
}

func (r *run) tellJoin(report kube.Report) {
	for _, n := range r.cluster.Nodes {
		for _, seen := range report.Nodes {
			if seen.Name == n.Full && seen.Ready {
				r.stage(n.Name, "Ready", 100)
			}
		}
	}
	if !report.Joined() {
		r.stage("", report.Wrong[0], 0)
	}
}

// explainJoin names the guilty part: nodes and operators when the API
// answers, else whether it answers past the balancer.
func (r *run) explainJoin(ctx context.Context, report kube.Report, err error) error {
	if err == nil {
		return errors.New(strings.Join(report.Wrong, "; "))
	}
	for _, n := range r.Nodes() {
		if n.Role == spec.ControlPlane && !n.DHCP() && r.answers(ctx, n.Address) {
			return fmt.Errorf("the API answers on %s but not through the load balancer at %s: %w", n.Name, r.cluster.Services.API()[0], err)
		}
	}
	return fmt.Errorf("the API answers on no control plane node: %w", err)
}

func (r *run) answers(ctx context.Context, at netip.Addr) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client, err := r.api(at)
	if err != nil {
		return false
	}
	defer client.Close()
	return client.Readyz(ctx) == nil
}

// checkHealth logs in to a node and looks whether it is the installed system
// that the spec planned.
func (r *run) checkHealth(n spec.Node) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, healthTime)
		defer cancel()
		client, err := r.login(ctx, n, "installed")
		if err != nil {
			return withAdvice(err)
		}
		defer client.Close()
		facts, err := probe.Host(ctx, client)
		if err != nil {
			return withAdvice(err)
		}
		return r.judge(n, facts)
	}
}

// login opens SSH to a node. Its host key changes by design between the live
// and the installed system, so each has its own entry.
func (r *run) login(ctx context.Context, n spec.Node, system string) (*sshx.Client, error) {
	return sshx.Dial(ctx, sshx.Target{Address: netip.AddrPortFrom(r.located(n).Address, sshPort),
		User: r.cluster.SSH.User, Signer: r.signer, Keys: r.hosts.Entry(n.Name + " " + system)})
}

func (r *run) judge(n spec.Node, f probe.Facts) error {
	for _, unit := range f.Failed {
		r.emit(event.Event{Kind: event.Warning, Node: n.Name, Message: fmt.Sprintf("unit %s has failed on %s", unit, n.Name)})
	}
	switch {
	case f.Live:
		return fmt.Errorf("%s still runs the live system of its boot image", n.Full)
	case f.Hostname != n.Full:
		return fmt.Errorf("the host at %s calls itself %q, not %q", r.located(n).Address, f.Hostname, n.Full)
	case f.Kubelet != "active":
		return fmt.Errorf("kubelet on %s is %s", n.Full, f.Kubelet)
	}
	return nil
}
