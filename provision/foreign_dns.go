package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-project/slipway/dnsserver/update"
	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

// askDNS bounds the questions to the user's own DNS server.
const askDNS = 20 * time.Second

// updatesDNS reports whether the user's server is to hold our records.
func (p *Project) updatesDNS() bool { return p.cluster.Services.DNS.Mode == spec.DNSRFC2136 }

func (p *Project) dnsTarget(dryRun bool) update.Target {
	d := p.cluster.Services.DNS
	return update.Target{Server: d.Server, DryRun: dryRun,
		Key: update.Key{Name: d.Key.Name, Algorithm: d.Key.Algorithm, Secret: d.Key.Secret}}
}

// pushNames puts the cluster's records into the user's server, each beside our
// mark, and asks it for all of them.
func (r *run) pushNames(ctx context.Context) error {
	if _, err := update.Push(ctx, r.dnsTarget(false), r.wantServices(1).DNS.Zones, r.cluster.FullName()); err != nil {
		return err
	}
	check, err := r.CheckDNS(ctx, r.cluster.Services.DNS.Server)
	return errors.Join(err, check.Err())
}

// namesPushed reports whether the user's server answers as it must.
func (r *run) namesPushed(ctx context.Context) (bool, error) {
	check, err := r.CheckDNS(ctx, r.cluster.Services.DNS.Server)
	return err == nil && check.Err() == nil, err
}

// pullNames takes exactly the records that carry our mark out again.
func (r *run) pullNames(ctx context.Context) error {
	_, err := update.Remove(ctx, r.dnsTarget(false), r.wantServices(1).DNS.Zones, r.cluster.FullName())
	return err
}

// checkForeignDNS looks at the user's own server: whether it answers for every
// name, or, when slipway is to fill it, whether it would let us.
func (p *Project) checkForeignDNS(ctx context.Context) []provider.Problem {
	ctx, cancel := context.WithTimeout(ctx, askDNS)
	defer cancel()
	switch p.cluster.Services.DNS.Mode {
	case spec.DNSExternal:
		return p.checkAnswers(ctx)
	case spec.DNSRFC2136:
		_, err := update.Push(ctx, p.dnsTarget(true), p.wantServices(1).DNS.Zones, p.cluster.FullName())
		if err != nil {
			return []provider.Problem{{What: err.Error(), Hint: hint.Of(err), Fatal: true, Err: err}}
		}
	}
	return nil
}

func (p *Project) checkAnswers(ctx context.Context) (problems []provider.Problem) {
	server := p.cluster.Services.DNS.Server
	check, err := p.CheckDNS(ctx, server)
	if err != nil {
		return []provider.Problem{{What: fmt.Sprintf("DNS server %s does not answer: %v", server, err), Fatal: true,
			Hint: "is it up, and does it answer this host?"}}
	}
	for _, a := range check.Answers {
		if !a.OK {
			problems = append(problems, provider.Problem{Fatal: true, Hint: hint.Of(check.Err()),
				What: fmt.Sprintf("DNS server %s answers %s %s with %s, not %s", server, a.Name, a.Type, a.Got, a.Want)})
		}
	}
	return problems
}
