package provision

import (
	"time"

	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/spec"
)

// steps is the graph of up: what makes the machines, and what watches them
// become a cluster.
func (r *run) steps() []phase.Step {
	steps, boots := r.making(r.serving()...)
	return append(steps, r.watching(boots)...)
}

// serving are the steps that have the services answer; the machine that they
// run on may have to be made first.
func (r *run) serving() (steps []phase.Step) {
	last := r.serve()
	if r.cluster.Services.Machine != nil {
		steps, last.Needs = r.servicesMachineSteps(), []string{"boot services"}
	}
	return append(steps, last)
}

func (r *run) serve() phase.Step {
	return phase.Step{Name: "services", Phase: phaseServices, Done: r.served, Do: r.startServices, Budget: r.servicesBudget()}
}

// making are the steps up to machines that have booted, after those that
// serve; it names the last ones.
func (r *run) making(serving ...phase.Step) (steps []phase.Step, boots []string) {
	before := append(names(serving), "image")
	steps = append(steps, phase.Step{Name: "allocate", Phase: phaseMachines, Done: r.allocated, Do: r.allocate, Budget: time.Minute})
	steps = append(steps, serving...)
	steps = append(steps,
		phase.Step{Name: "register", Phase: phaseMedia, Done: r.registered, Do: r.register, Budget: 2 * time.Minute},
		phase.Step{Name: "image", Phase: phaseMedia, Needs: []string{"register", "allocate"}, Done: r.stored, Do: r.storeImage,
			Budget: 15 * time.Minute, Ceiling: 2 * time.Hour})
	if r.updatesDNS() {
		steps = append(steps, phase.Step{Name: "names", Phase: phaseServices, Done: r.namesPushed, Do: r.pushNames, Budget: 2 * time.Minute})
		before = append(before, "names")
	}
	for _, n := range r.cluster.Nodes {
		steps = append(steps, r.machineSteps(n, before)...)
		boots = append(boots, "boot "+n.Name)
	}
	return steps, boots
}

// machineSteps is the pipeline of one node.
func (r *run) machineSteps(n spec.Node, before []string) []phase.Step {
	last := phase.Step{Name: "machine " + n.Name, Phase: phaseMachines, Node: n.Name, Needs: []string{"allocate"}, Resource: resourceProvider,
		Done: r.made(n), Do: r.makeMachine(n), Budget: 10 * time.Minute}
	steps := []phase.Step{last}
	if r.adrift(n) {
		last = phase.Step{Name: "repair " + n.Name, Phase: phaseMachines, Node: n.Name, Needs: []string{last.Name}, Resource: resourceProvider,
			Do: r.repair(n), Budget: 5 * time.Minute}
		steps = append(steps, last)
	}
	return append(steps, phase.Step{Name: "boot " + n.Name, Phase: phaseBoot, Node: n.Name, Needs: append([]string{last.Name}, before...), Resource: resourceProvider,
		Done: r.running(n), Do: r.boot(n), Budget: 5 * time.Minute})
}

// watching are the steps that see the installation through, after those named.
func (r *run) watching(after []string) []phase.Step {
	steps := append(r.installing(after),
		phase.Step{Name: "join", Phase: phaseJoin, Needs: []string{"credentials"}, Do: r.join, Budget: 40 * time.Minute, Ceiling: 3 * time.Hour})
	for _, n := range r.cluster.Nodes {
		steps = append(steps, phase.Step{Name: "health " + n.Name, Phase: phaseJoin, Node: n.Name, Needs: []string{"join"},
			Do: r.checkHealth(n), Budget: 5 * time.Minute})
		if len(n.Labels) > 0 {
			steps = append(steps, phase.Step{Name: "label " + n.Name, Phase: phaseJoin, Node: n.Name, Needs: []string{"join"},
				Done: r.labelled(n), Do: r.label(n), Budget: 5 * time.Minute})
		}
	}
	return append(steps, r.checks(names(steps))...)
}

// installing are the steps of watching up to the credentials.
func (r *run) installing(after []string) []phase.Step {
	return []phase.Step{
		{Name: "discover", Phase: phaseDiscover, Needs: after, Done: r.discovered, Do: r.discover, Budget: stallDiscovery + blindFor, Ceiling: 3 * time.Hour},
		{Name: "install", Phase: phaseInstall, Needs: []string{"discover"}, Done: r.installed, Do: r.install, Budget: stallInstall + blindFor, Ceiling: 5 * time.Hour},
		{Name: "credentials", Phase: phaseHandover, Needs: []string{"install"}, Done: r.credentialsKept, Do: r.keepCredentials, Budget: 5 * time.Minute},
	}
}

func names(steps []phase.Step) (all []string) {
	for _, s := range steps {
		all = append(all, s.Name)
	}
	return all
}
