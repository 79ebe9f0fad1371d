package kube

import (
	"context"
	"net/netip"
	"slices"
	"strings"
)

// A Node is a node as the cluster reports it.
type Node struct {
	Name      string
	Roles     []string // from node-role.kubernetes.io labels, sorted
	Addresses []netip.Addr
	Ready     bool
	Reason    string // why not ready
}

// HasRole reports whether the node carries a role's label. The control plane
// is "master" on OpenShift, "control-plane" too since 4.12.
func (n Node) HasRole(role string) bool { return slices.Contains(n.Roles, role) }

// An Operator is a cluster operator.
type Operator struct {
	Name        string
	Available   bool
	Progressing bool
	Degraded    bool
	Message     string // of the condition that is wrong
}

// A ClusterVersion is the cluster version, which has conditions as cluster
// operators do.
type ClusterVersion struct {
	Operator
	Release string // that it runs or is on its way to, such as 4.20.3; "": not known
}

// A Request is a certificate signing request that nobody has decided on.
type Request struct {
	Name, Signer, User string
}

type meta struct {
	Name   string
	Labels map[string]string
}

type condition struct {
	Type, Status, Reason, Message string
}

type conditions []condition

func (c conditions) get(kind string) condition {
	if i := slices.IndexFunc(c, func(x condition) bool { return x.Type == kind }); i >= 0 {
		return c[i]
	}
	return condition{}
}

type rawNode struct {
	Metadata meta
	Status   struct {
		Conditions conditions
		Addresses  []struct{ Type, Address string }
	}
}

type rawOperator struct {
	Metadata meta
	Status   struct {
		Conditions conditions
		Desired    struct{ Version string } // of the cluster version alone
	}
}

type rawRequest struct {
	Metadata meta
	Spec     struct {
		SignerName, Username string
	}
	Status struct{ Conditions conditions }
}

// Nodes lists the nodes in name order (GET /api/v1/nodes).
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	raw, err := list[rawNode](ctx, c, "/api/v1/nodes")
	nodes := make([]Node, len(raw))
	for i, r := range raw {
		nodes[i] = r.node()
	}
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes, err
}

func (r rawNode) node() Node {
	ready := r.Status.Conditions.get("Ready")
	n := Node{Name: r.Metadata.Name, Ready: ready.Status == "True", Reason: ready.Message}
	for label := range r.Metadata.Labels {
		if role, ok := strings.CutPrefix(label, "node-role.kubernetes.io/"); ok {
			n.Roles = append(n.Roles, role)
		}
	}
	slices.Sort(n.Roles)
	for _, a := range r.Status.Addresses {
		if addr, err := netip.ParseAddr(a.Address); err == nil && a.Type == "InternalIP" {
			n.Addresses = append(n.Addresses, addr)
		}
	}
	return n
}

// Operators lists the cluster operators in name order
// (GET /apis/config.openshift.io/v1/clusteroperators).
func (c *Client) Operators(ctx context.Context) ([]Operator, error) {
	raw, err := list[rawOperator](ctx, c, "/apis/config.openshift.io/v1/clusteroperators")
	operators := make([]Operator, len(raw))
	for i, r := range raw {
		operators[i] = r.operator()
	}
	slices.SortFunc(operators, func(a, b Operator) int { return strings.Compare(a.Name, b.Name) })
	return operators, err
}

func (r rawOperator) operator() Operator {
	c := r.Status.Conditions
	available, progressing, degraded := c.get("Available"), c.get("Progressing"), c.get("Degraded")
	o := Operator{Name: r.Metadata.Name, Available: available.Status == "True",
		Progressing: progressing.Status == "True", Degraded: degraded.Status == "True"}
	switch {
	case o.Degraded:
		o.Message = degraded.Message
	case !o.Available:
		o.Message = available.Message
	case o.Progressing:
		o.Message = progressing.Message
	}
	return o
}

// Pending lists certificate signing requests without a decision
// (GET /apis/certificates.k8s.io/v1/certificatesigningrequests).
func (c *Client) Pending(ctx context.Context) ([]Request, error) {
	raw, err := list[rawRequest](ctx, c, "/apis/certificates.k8s.io/v1/certificatesigningrequests")
	var pending []Request
	for _, r := range raw {
		if len(r.Status.Conditions) == 0 {
			pending = append(pending, Request{r.Metadata.Name, r.Spec.SignerName, r.Spec.Username})
		}
	}
	return pending, err
}

// Version reads the cluster version: its release, and whether it is Available
// and done (GET /apis/config.openshift.io/v1/clusterversions/version).
func (c *Client) Version(ctx context.Context) (ClusterVersion, error) {
	raw, ok, err := object[rawOperator](ctx, c, "/apis/config.openshift.io/v1/clusterversions/version")
	if err != nil || !ok {
		return ClusterVersion{Operator: Operator{Name: "version", Message: "the cluster version operator has not reported"}}, err
	}
	v := ClusterVersion{raw.operator(), raw.Status.Desired.Version}
	if failing := raw.Status.Conditions.get("Failing"); failing.Status == "True" {
		v.Degraded, v.Message = true, failing.Message
	}
	return v, nil
}

// Console returns the console's URL, "" while its route is not admitted
// (GET /apis/route.openshift.io/v1/namespaces/openshift-console/routes/console).
func (c *Client) Console(ctx context.Context) (string, error) {
	route, ok, err := object[struct {
		Spec   struct{ Host string }
		Status struct {
			Ingress []struct{ Conditions conditions }
		}
	}](ctx, c, "/apis/route.openshift.io/v1/namespaces/openshift-console/routes/console")
	if err != nil || !ok {
		return "", err
	}
	for _, ingress := range route.Status.Ingress {
		if ingress.Conditions.get("Admitted").Status == "True" {
			return "https://" + route.Spec.Host, nil
		}
	}
	return "", nil
}
