package provision

import (
	"context"
	"fmt"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

// askDNS bounds the questions to the user's own DNS server.
const askDNS = 20 * time.Second

// checkForeignDNS asks a DNS server that the user fills for every name that
// the installer and the nodes will ask it for.
func (p *Project) checkForeignDNS(ctx context.Context) []provider.Problem {
	dns := p.cluster.Services.DNS
	if dns.Mode != spec.DNSExternal {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askDNS)
	defer cancel()
	check, err := p.CheckDNS(ctx, dns.Server)
	if err != nil {
		return []provider.Problem{{What: fmt.Sprintf("DNS server %s does not answer: %v", dns.Server, err), Fatal: true,
			Hint: "is it up, and does it answer this host?"}}
	}
	var problems []provider.Problem
	for _, a := range check.Answers {
		if !a.OK {
			problems = append(problems, provider.Problem{Fatal: true, Hint: hint.Of(check.Err()),
				What: fmt.Sprintf("DNS server %s answers %s %s with %s, not %s", dns.Server, a.Name, a.Type, a.Got, a.Want)})
		}
	}
	return problems
}
