package provision

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/slipway-project/slipway/provision/probe"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

// answerTime is how long somebody on the same link may take to say that an
// address is theirs.
const answerTime = time.Second

// A claim is who has the address of a machine, or cannot be asked.
type claim struct {
	node   spec.Node
	by     probe.Neighbour
	router net.HardwareAddr // of the gateway, where somebody has it
	err    error
}

// checkAddresses looks for others who have the addresses of machines: two hosts
// with one address reach each other's peers by turns, which shows as anything
// but that.
func (p *Project) checkAddresses(ctx context.Context) (problems []provider.Problem) {
	machines := sync.OnceValue(func() []provider.Machine {
		found, _ := p.provider.Find(ctx, provider.Mark{Cluster: p.cluster.FullName()}) // what is wrong with it, Check says
		return found
	})
	for _, c := range p.claims(ctx) {
		if found, is := c.problem(machines); is {
			problems = append(problems, found)
		}
	}
	return problems
}

// claims asks for all addresses at the same time.
func (p *Project) claims(ctx context.Context) []claim {
	var all []claim
	for _, n := range p.cluster.Placed() {
		if !n.DHCP() {
			all = append(all, claim{node: n})
		}
	}
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() { all[i].ask(ctx, p.Pace.Poll(answerTime)) })
	}
	group.Wait()
	return all
}

func (c *claim) ask(ctx context.Context, patience time.Duration) {
	c.by, c.err = probe.LookForNeighbour(ctx, c.node.Address, c.node.MAC, patience)
	if gateway := c.node.Network.Gateway; c.by.MAC != nil && gateway.IsValid() {
		router, _ := probe.LookForNeighbour(ctx, gateway, c.by.MAC, patience)
		c.router = router.MAC
	}
}

// problem is none when nobody has the address, when the machine has it that is
// there already, or when the router answers, for everybody: proxy ARP says
// nothing of who is there.
func (c claim) problem(machines func() []provider.Machine) (provider.Problem, bool) {
	what := fmt.Sprintf("address %s of %s", c.node.Address, c.who())
	switch {
	case c.err != nil:
		return provider.Problem{What: fmt.Sprintf("%s: nobody could be asked whether it is free: %v", what, c.err), Err: c.err,
			Hint: "let this host send UDP there, or make sure of it yourself"}, true
	case c.by.Here:
		return provider.Problem{What: what + " is taken: this host has it", Fatal: true, Hint: "write another address in the spec"}, true
	case c.by.MAC == nil || bytes.Equal(c.by.MAC, c.node.MAC) || bytes.Equal(c.by.MAC, c.router) || c.isOf(machines()):
		return provider.Problem{}, false
	}
	return provider.Problem{What: fmt.Sprintf("%s is taken: %s answers for it", what, c.by.MAC), Fatal: true,
		Hint: "find the device with that MAC, as your router knows it, or write another address in the spec"}, true
}

func (c claim) who() string {
	if c.node.Role == spec.ServicesRole {
		return "machine " + c.node.Full
	}
	return "node " + c.node.Full
}

// isOf reports whether who answers is the node's own machine, whose MAC is
// another than the spec says: that is drift, which the plan tells.
func (c claim) isOf(machines []provider.Machine) bool {
	return slices.ContainsFunc(machines, func(m provider.Machine) bool {
		return m.Node == c.node.Name && slices.ContainsFunc(m.NICs, func(n provider.NIC) bool { return bytes.Equal(n.MAC, c.by.MAC) })
	})
}
