package provision

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/slipway-project/slipway/provision/probe"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

// answerTime is how long somebody on the same link may take to say that an
// address is theirs.
const answerTime = time.Second

// A claim is who has the address of a node, or cannot be asked.
type claim struct {
	node spec.Node
	by   probe.Neighbour
	err  error
}

// checkAddresses looks for others who have the addresses of nodes: two hosts
// with one address reach each other's peers by turns, which shows as anything
// but that. A node that is there already answers with its own MAC.
func (p *Project) checkAddresses(ctx context.Context) (problems []provider.Problem) {
	for _, c := range p.claims(ctx) {
		if c.by.MAC.String() == c.node.MAC.String() || p.byRouter(ctx, c) {
			continue
		}
		if found, is := c.problem(); is {
			problems = append(problems, found)
		}
	}
	return problems
}

// byRouter reports whether it is the router that answers, for everybody: proxy
// ARP says nothing of who is there.
func (p *Project) byRouter(ctx context.Context, c claim) bool {
	if c.by.MAC == nil || !c.node.Network.Gateway.IsValid() {
		return false
	}
	router, err := probe.LookForNeighbour(ctx, c.node.Network.Gateway, p.Pace.Poll(answerTime))
	return err == nil && router.MAC.String() == c.by.MAC.String()
}

// claims asks for all addresses at the same time.
func (p *Project) claims(ctx context.Context) []claim {
	var all []claim
	for _, n := range p.cluster.Nodes {
		if !n.DHCP() {
			all = append(all, claim{node: n})
		}
	}
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() {
			all[i].by, all[i].err = probe.LookForNeighbour(ctx, all[i].node.Address, p.Pace.Poll(answerTime))
		})
	}
	group.Wait()
	return all
}

func (c claim) problem() (provider.Problem, bool) {
	what := fmt.Sprintf("address %s of node %s", c.node.Address, c.node.Full)
	switch {
	case c.err != nil:
		return provider.Problem{What: fmt.Sprintf("%s: nobody could be asked whether it is free: %v", what, c.err), Err: c.err,
			Hint: "let this host send UDP there, or make sure of it yourself"}, true
	case c.by.Here:
		return provider.Problem{What: what + " is taken: this host has it", Fatal: true, Hint: "give the node another address in the spec"}, true
	case c.by.MAC != nil:
		return provider.Problem{What: fmt.Sprintf("%s is taken: %s answers for it", what, c.by.MAC), Fatal: true,
			Hint: "find the device with that MAC, as your router knows it, or give the node another address in the spec"}, true
	}
	return provider.Problem{}, false
}
