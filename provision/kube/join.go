package kube

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A Planned node is one that the spec wants in the cluster.
type Planned struct {
	Name         string // node name in the cluster: the full name
	ControlPlane bool
	Address      netip.Addr // zero: any
}

// A Report is one look at how far the cluster has come.
type Report struct {
	Nodes     []Node
	Operators []Operator
	Pending   []Request
	Console   string
	Version   string // release that the cluster runs or is on its way to; "": not known
	// Wrong says what still stands against calling the cluster whole, in the
	// order a person would ask; empty when it is.
	Wrong []string
}

// Joined reports whether every planned node is Ready and nothing is wrong.
func (r Report) Joined() bool { return len(r.Wrong) == 0 }

// Look compares the cluster with what the spec wants: nodes equal by name,
// with their role and address, Ready; no certificate request undecided;
// cluster version and operators Available, not Progressing, not Degraded. How
// long it has been so is for the caller to watch: the cluster's clock may not
// be ours.
func (c *Client) Look(ctx context.Context, want []Planned) (Report, error) {
	var r Report
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return r, err
	}
	r.Nodes = nodes
	r.Wrong = wrongNodes(nodes, want)
	if r.Pending, err = c.Pending(ctx); err != nil {
		return r, err
	}
	for _, p := range r.Pending {
		r.Wrong = append(r.Wrong, fmt.Sprintf("certificate request %s of %s awaits approval", p.Name, p.User))
	}
	return r, c.lookOperators(ctx, &r)
}

func (c *Client) lookOperators(ctx context.Context, r *Report) error {
	version, err := c.Version(ctx)
	if err != nil {
		return err
	}
	r.Version = version.Release
	if r.Operators, err = c.Operators(ctx); err != nil {
		return err
	}
	if len(r.Operators) == 0 {
		r.Wrong = append(r.Wrong, "no cluster operator has reported")
	}
	for _, o := range append([]Operator{version.Operator}, r.Operators...) {
		if text := o.wrong(); text != "" {
			r.Wrong = append(r.Wrong, text)
		}
	}
	r.Console, err = c.Console(ctx)
	return err
}

func (o Operator) wrong() string {
	switch {
	case o.Degraded:
		return fmt.Sprintf("operator %s is degraded: %s", o.Name, o.Message)
	case !o.Available:
		return fmt.Sprintf("operator %s is not available: %s", o.Name, o.Message)
	case o.Progressing:
		return fmt.Sprintf("operator %s is progressing: %s", o.Name, o.Message)
	}
	return ""
}

func wrongNodes(nodes []Node, want []Planned) (wrong []string) {
	for _, p := range want {
		i := slices.IndexFunc(nodes, func(n Node) bool { return n.Name == p.Name })
		if i < 0 {
			wrong = append(wrong, fmt.Sprintf("node %s has not joined", p.Name))
			continue
		}
		if text := nodes[i].wrong(p); text != "" {
			wrong = append(wrong, text)
		}
	}
	for _, n := range nodes {
		if !slices.ContainsFunc(want, func(p Planned) bool { return p.Name == n.Name }) {
			wrong = append(wrong, fmt.Sprintf("node %s is not in the spec", n.Name))
		}
	}
	return wrong
}

func (n Node) wrong(p Planned) string {
	master := n.HasRole("master") || n.HasRole("control-plane")
	switch {
	case p.ControlPlane != master:
		return fmt.Sprintf("node %s has the roles %s", n.Name, strings.Join(n.Roles, ", "))
	case p.Address.IsValid() && !slices.Contains(n.Addresses, p.Address):
		return fmt.Sprintf("node %s has not the address %s", n.Name, p.Address)
	case !n.Ready:
		return fmt.Sprintf("node %s is not ready: %s", n.Name, n.Reason)
	}
	return ""
}
