package provision

import (
	"context"
	"time"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/plan"
	"github.com/slipway-project/slipway/provision/state"
)

// The phases of up, in order; preflight comes before the first.
const (
	phasePreflight = "preflight"
	phaseServices  = "services"
	phaseMedia     = "media"
	phaseMachines  = "machines"
	phaseBoot      = "boot"
	phaseDiscover  = "discover"
	phaseInstall   = "install"
	phaseJoin      = "join"
	phaseHandover  = "handover"
)

const (
	resourceProvider  = "provider"
	maxMachinesAtOnce = 8
)

// A Result is what `up` hands over.
type Result struct {
	Cluster    string       `json:"cluster"`
	Nodes      []NodeResult `json:"nodes"`
	Console    string       `json:"console"`
	Kubeconfig string       `json:"kubeconfig"` // path
	Password   string       `json:"password"`   // path
}

// A NodeResult is a node as the cluster reports it.
type NodeResult struct {
	Name    string `json:"name"`
	Role    string `json:"role"`
	Address string `json:"address"`
	Ready   bool   `json:"ready"`
}

// Up makes the cluster, or goes on making it, until every planned node has
// joined. confirm is shown the plan and may decline it by an error.
func (p *Project) Up(ctx context.Context, confirm func(plan.Plan) error) (result Result, err error) {
	r, err := p.take(ctx, "up")
	if err != nil {
		return Result{}, err
	}
	defer r.close()
	defer p.story("up", &err)()
	defer r.explainDisk(&err)
	if err := r.prepare(ctx, confirm); err != nil {
		return Result{}, err
	}
	if err := r.graph(r.steps()).Run(ctx); err != nil {
		return Result{}, err
	}
	return r.result(r.report), r.journal.Append(state.Record{Kind: state.Ready})
}

// prepare does all that comes before the first change.
func (r *run) prepare(ctx context.Context, confirm func(plan.Plan) error) error {
	began := time.Now()
	r.emit(event.Event{Kind: event.PhaseStart, Phase: phasePreflight})
	if err := r.preflight(ctx); err != nil {
		return err
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	r.emit(event.Event{Kind: event.PhaseDone, Phase: phasePreflight, Seconds: time.Since(began).Seconds()})
	if err := r.refuseReplacement(); err != nil {
		return err
	}
	if err := r.refuseMove(); err != nil {
		return err
	}
	observed, err := r.observe(ctx, r.journal.Document(), r.found)
	if err != nil {
		return err
	}
	if err := confirm(plan.Make(r.cluster, r.wantServices(1), observed)); err != nil {
		return err
	}
	r.whole = observed.Installed
	if err := r.identify(); err != nil {
		return err
	}
	return r.loadKey()
}

// story tells the beginning and the end of a run.
func (p *Project) story(verb string, err *error) (end func()) {
	began := time.Now()
	p.emit(event.Event{Kind: event.RunStart, Verb: verb})
	return func() {
		e := event.Event{Kind: event.RunDone, Verb: verb, Seconds: time.Since(began).Seconds()}
		if *err != nil {
			e.Error = (*err).Error()
		}
		p.emit(e)
	}
}

func (p *Project) result(report kube.Report) Result {
	result := Result{Cluster: p.cluster.FullName(), Console: report.Console,
		Kubeconfig: p.Kubeconfig(), Password: p.Password()}
	ready := map[string]bool{}
	for _, n := range report.Nodes {
		ready[n.Name] = n.Ready
	}
	for _, n := range p.Nodes() {
		result.Nodes = append(result.Nodes, NodeResult{Name: n.Name, Role: string(n.Role), Address: addressOf(n), Ready: ready[n.Full]})
	}
	return result
}
