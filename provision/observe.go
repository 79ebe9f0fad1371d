package provision

import (
	"context"
	"slices"
	"time"

	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/plan"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/state"
)

// askAPI bounds the question whether the cluster has joined already.
const askAPI = 5 * time.Second

// observe gathers what the plan compares the spec with.
func (p *Project) observe(ctx context.Context, doc state.Document, found map[string]provider.Machine) (plan.Observed, error) {
	owner := provider.Mark{Cluster: p.cluster.FullName()}
	refs, err := p.installer.Find(ctx, owner)
	if err != nil {
		return plan.Observed{}, err
	}
	images, err := p.provider.Images(ctx, owner)
	if err != nil {
		return plan.Observed{}, err
	}
	served, err := p.servicesExist(ctx, sorted(found))
	if err != nil {
		return plan.Observed{}, err
	}
	disks, err := p.cloudImages(ctx, doc)
	if err != nil {
		return plan.Observed{}, err
	}
	report, err := p.ask(ctx)
	joined := err == nil && report.Joined()
	observed := plan.Observed{Machines: sorted(found), Recorded: map[string]bool{}, Made: map[string]bool{}, Learned: doc.Learned,
		Registered: len(refs) > 0, Image: len(images) > 0, Disk: len(disks) > 0, Services: served, Installed: joined, Release: report.Version, Ready: !doc.Ready.IsZero()}
	for node := range doc.Machines {
		observed.Recorded[node] = true
		if wasMade(doc, node) {
			observed.Made[node] = true
		}
	}
	_, observed.Repairs = p.provider.(provider.Repairer)
	if served, err := services.Read(p.document()); err == nil && observed.Services {
		observed.Served = &served
	}
	return observed, nil
}

// cloudImages are the images that the services machine was to begin with, if
// there is one or the state knows of it.
func (p *Project) cloudImages(ctx context.Context, doc state.Document) ([]string, error) {
	clouds, ok := p.provider.(provider.CloudImager)
	if !ok || p.cluster.Services.Machine == nil && doc.Cloud == nil {
		return nil, nil
	}
	return clouds.Disks(ctx, provider.Mark{Cluster: p.cluster.FullName()})
}

// wasMade reports whether the node's machine has existed, as far as the state
// knows: an identity is recorded before the machine is.
func wasMade(doc state.Document, node string) bool {
	made, booted := doc.Steps["machine "+node], doc.Steps["boot "+node]
	return made.Kind != state.Undone && (made.Kind == state.Done || booted.Kind != "" || !doc.Ready.IsZero())
}

// ask asks the cluster itself, when there is a kubeconfig to ask it with.
func (p *Project) ask(ctx context.Context) (kube.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, askAPI)
	defer cancel()
	return p.joinReport(ctx)
}

// joined reports whether the cluster says that it is whole.
func (p *Project) joined(ctx context.Context) bool {
	report, err := p.ask(ctx)
	return err == nil && report.Joined()
}

func sorted(found map[string]provider.Machine) []provider.Machine {
	var ms []provider.Machine
	for _, m := range found {
		ms = append(ms, m)
	}
	slices.SortFunc(ms, func(a, b provider.Machine) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return ms
}

// Plan compares the spec with what exists. It writes nothing.
func (p *Project) Plan(ctx context.Context) (plan.Plan, error) {
	doc, err := p.store.Read(ctx, p.cluster.FullName())
	if err != nil {
		return plan.Plan{}, err
	}
	ms, err := p.provider.Find(ctx, provider.Mark{Cluster: p.cluster.FullName()})
	if err != nil {
		return plan.Plan{}, err
	}
	found := map[string]provider.Machine{}
	for _, m := range ms {
		found[m.Node] = m
	}
	observed, err := p.observe(ctx, doc, found)
	if err != nil {
		return plan.Plan{}, err
	}
	return plan.Make(p.cluster, p.wantServices(1), observed), nil
}
