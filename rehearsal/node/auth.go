package node

import (
	"crypto/subtle"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
)

// An identity is who sent a request.
type identity struct {
	name   string
	groups []string
}

const bootstrapperName = "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper"

var (
	anonymous    = identity{"system:anonymous", []string{"system:unauthenticated"}}
	bootstrapper = identity{bootstrapperName, []string{"system:serviceaccounts", "system:serviceaccounts:openshift-machine-config-operator", "system:authenticated"}}
)

func (u identity) in(group string) bool { return slices.Contains(u.groups, group) }

// node is the name of the node whose kubelet u is, or "".
func (u identity) node() string {
	name, ok := strings.CutPrefix(u.name, "system:node:")
	if !ok || !u.in("system:nodes") {
		return ""
	}
	return name
}

// authenticate takes a client certificate of the cluster's authority, the
// bootstrapper's token, or neither.
func (c *cluster) authenticate(r *http.Request) (identity, error) {
	if len(r.TLS.PeerCertificates) > 0 {
		return c.certificateUser(r.TLS.PeerCertificates)
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return anonymous, nil
	}
	token, ok := strings.CutPrefix(header, "Bearer ")
	if ok && subtle.ConstantTimeCompare([]byte(token), []byte(c.token)) == 1 {
		return bootstrapper, nil
	}
	return identity{}, errUnauthorized()
}

func errUnauthorized() error {
	return failure(http.StatusUnauthorized, "Unauthorized", "Unauthorized")
}

func (c *cluster) certificateUser(chain []*x509.Certificate) (identity, error) {
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: c.ca.pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return identity{}, errUnauthorized()
	}
	subject := chain[0].Subject
	return identity{subject.CommonName, append(slices.Clone(subject.Organization), "system:authenticated")}, nil
}

// permit is the part of the cluster's RBAC and node authorizer that these
// users need.
func permit(u identity, q query) error {
	if u.in("system:masters") || u.mayRequest(q) || u.mayNode(q) {
		return nil
	}
	return forbidden(u, q)
}

// mayRequest: kubelets ask for certificates, and look at what became of them.
func (u identity) mayRequest(q query) bool {
	return q.resource == requests && q.sub == "" && (u.name == bootstrapperName || u.node() != "") &&
		slices.Contains([]string{"create", "get", "list", "watch"}, q.verb)
}

func (u identity) mayNode(q query) bool {
	return q.resource == nodes && u.node() != "" && q.verb != "delete"
}

func forbidden(u identity, q query) error {
	subject := q.resource.plural
	if q.sub != "" {
		subject += "/" + q.sub
	}
	name := ""
	if q.name != "" {
		name = ` "` + q.name + `"`
	}
	where := "at the cluster scope"
	if q.resource.namespaced && q.namespace != "" {
		where = `in the namespace "` + q.namespace + `"`
	}
	return failure(http.StatusForbidden, "Forbidden", "%s%s is forbidden: User %q cannot %s resource %q in API group %q %s",
		q.resource.qualified(), name, u.name, q.verb, subject, q.resource.group, where).about(q.resource, q.name)
}

// restrict is the NodeRestriction admission plugin: a kubelet changes its own
// node only.
func restrict(u identity, name string) error {
	if own := u.node(); own != "" && own != name {
		return failure(http.StatusForbidden, "Forbidden", "nodes %q is forbidden: node %q is not allowed to modify node %q", name, own, name).about(nodes, name)
	}
	return nil
}
