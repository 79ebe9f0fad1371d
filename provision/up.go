package provision

import (
	"context"
	"time"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/phase"
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

// steps is the graph of up.
func (r *run) steps() []phase.Step {
	steps := []phase.Step{
		{Name: "services", Phase: phaseServices, Done: r.served, Do: r.startServices, Budget: time.Minute},
		{Name: "register", Phase: phaseMedia, Done: r.registered, Do: r.register, Budget: 2 * time.Minute},
		{Name: "allocate", Phase: phaseMachines, Done: r.allocated, Do: r.allocate, Budget: time.Minute},
		{Name: "image", Phase: phaseMedia, Needs: []string{"register", "allocate"}, Done: r.stored, Do: r.storeImage, Budget: 30 * time.Minute},
	}
	before := []string{"services", "image"}
	if r.updatesDNS() {
		steps = append(steps, phase.Step{Name: "names", Phase: phaseServices, Done: r.namesPushed, Do: r.pushNames, Budget: 2 * time.Minute})
		before = append(before, "names")
	}
	var boots []string
	for _, n := range r.cluster.Nodes {
		steps = append(steps,
			phase.Step{Name: "machine " + n.Name, Phase: phaseMachines, Node: n.Name, Needs: []string{"allocate"}, Resource: resourceProvider,
				Done: r.made(n), Do: r.makeMachine(n), Budget: 10 * time.Minute},
			phase.Step{Name: "boot " + n.Name, Phase: phaseBoot, Node: n.Name, Needs: append([]string{"machine " + n.Name}, before...), Resource: resourceProvider,
				Done: r.running(n), Do: r.boot(n), Budget: 5 * time.Minute})
		boots = append(boots, "boot "+n.Name)
	}
	steps = append(steps,
		phase.Step{Name: "discover", Phase: phaseDiscover, Needs: boots, Done: r.discovered, Do: r.discover, Budget: 40 * time.Minute},
		phase.Step{Name: "install", Phase: phaseInstall, Needs: []string{"discover"}, Done: r.installed, Do: r.install, Budget: 4 * time.Hour},
		phase.Step{Name: "credentials", Phase: phaseHandover, Needs: []string{"install"}, Done: r.credentialsKept, Do: r.keepCredentials, Budget: 5 * time.Minute},
		phase.Step{Name: "join", Phase: phaseJoin, Needs: []string{"credentials"}, Do: r.join, Budget: 90 * time.Minute})
	for _, n := range r.cluster.Nodes {
		steps = append(steps, phase.Step{Name: "health " + n.Name, Phase: phaseJoin, Node: n.Name, Needs: []string{"join"},
			Do: r.checkHealth(n), Budget: 5 * time.Minute})
	}
	return steps
}

func (r *run) result(report kube.Report) Result {
	result := Result{Cluster: r.cluster.FullName(), Console: report.Console,
		Kubeconfig: r.Kubeconfig(), Password: r.Password()}
	ready := map[string]bool{}
	for _, n := range report.Nodes {
		ready[n.Name] = n.Ready
	}
	for _, n := range r.Nodes() {
		result.Nodes = append(result.Nodes, NodeResult{Name: n.Name, Role: string(n.Role), Address: addressOf(n), Ready: ready[n.Full]})
	}
	return result
}
