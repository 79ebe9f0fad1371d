package provision

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
)

// Where a finding was made.
const (
	partSpec      = "spec"
	partProvider  = "provider"
	partInstaller = "installer"
	partServices  = "services"
	partHost      = "this host"
)

// A Finding is something that `up` would fail by, or be the worse for.
type Finding struct {
	Part  string `json:"part"`  // spec, provider, installer, services, this host
	Fatal bool   `json:"fatal"` // false: a warning
	What  string `json:"what"`
	Hint  string `json:"hint,omitempty"` // what to do or to run
	err   error
}

func (f Finding) problem() provider.Problem {
	return provider.Problem{What: f.What, Hint: f.Hint, Fatal: f.Fatal, Err: f.err}
}

// Doctor looks for everything that would make `up` fail, changes nothing, and
// returns what it found: what is fatal first. An error is why it ended early.
func (p *Project) Doctor(ctx context.Context) ([]Finding, error) {
	var found []Finding
	if _, err := p.cluster.PullSecret.Reveal(); err != nil {
		found = append(found, Finding{Part: partSpec, Fatal: true, What: err.Error(), Hint: hint.Of(err), err: err})
	}
	found = append(found, p.findings(ctx)...)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		switch {
		case a.Fatal == b.Fatal:
			return 0
		case a.Fatal:
			return -1
		}
		return 1
	})
	return found, nil
}

// findings asks everybody at the same time.
func (p *Project) findings(ctx context.Context) []Finding {
	mark := provider.Mark{Cluster: p.cluster.FullName()}
	checks := []struct {
		part string
		ask  func() []provider.Problem
	}{
		{partProvider, func() []provider.Problem { return p.checkProvider(ctx, mark) }},
		{partInstaller, func() []provider.Problem { return p.installer.Check(ctx, p.wantCluster(mark, nil)) }},
		{partServices, func() []provider.Problem { return p.checkServices(ctx) }},
		{partHost, p.checkRunDir},
		{partSpec, func() []provider.Problem { return p.checkAddresses(ctx) }},
		{partServices, func() []provider.Problem { return p.checkForeignDNS(ctx) }},
	}
	told := make([][]Finding, len(checks))
	var group sync.WaitGroup
	for i, check := range checks {
		group.Go(func() {
			for _, problem := range check.ask() {
				told[i] = append(told[i], Finding{check.part, problem.Fatal, problem.What, problem.Hint, problem.Err})
			}
		})
	}
	group.Wait()
	return slices.Concat(told...)
}

// wantProvider is what a run is going to ask of the provider.
func (p *Project) wantProvider(mark provider.Mark) provider.Request {
	want := provider.Request{Machines: p.wantMachines(mark), Addresses: map[string][]netip.Addr{}}
	for _, n := range p.cluster.Placed() {
		if n.Address.IsValid() {
			want.Addresses[n.Full] = []netip.Addr{n.Address}
		}
	}
	return want
}

func (p *Project) checkProvider(ctx context.Context, mark provider.Mark) []provider.Problem {
	want := p.wantProvider(mark)
	problems := p.checkCloudImage(ctx, &want)
	return append(problems, p.provider.Check(ctx, want)...)
}

// checkCloudImage looks for the image of a services machine that is still to
// be made, and adds it to what is wanted.
func (p *Project) checkCloudImage(ctx context.Context, want *provider.Request) []provider.Problem {
	m := p.cluster.Services.Machine
	if m == nil {
		return nil
	}
	there, err := p.provider.Find(ctx, provider.Mark{Cluster: p.cluster.FullName()})
	if err != nil || slices.ContainsFunc(there, func(found provider.Machine) bool { return found.Node == m.Name }) {
		return nil // what else is wrong with the provider, Check says
	}
	want.Cloud = true
	if want.CloudBytes, err = p.images().Size(ctx, p.cloudSource()); err != nil {
		return []provider.Problem{{What: err.Error(), Hint: hint.Of(err), Fatal: true, Err: err}}
	}
	return nil
}
