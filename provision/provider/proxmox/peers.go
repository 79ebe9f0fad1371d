package proxmox

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/slipway-project/slipway/internal/tlspin"
)

// knock is how long a node's own address may take to answer before the
// endpoint stands in for it.
const knock = 3 * time.Second

// peers are the nodes of the cluster at their own addresses. An upload sent
// to the node it is for is stored there at once; sent to the endpoint, it is
// kept there first and then copied over as root. Whatever stands in the way
// of reaching a node, the endpoint does it too.
type peers struct {
	known sync.Once
	at    map[string]*url.URL // by node; nil where the token may not ask
	pins  map[string]string   // fingerprints by node

	mu   sync.Mutex
	open map[string]*peer
}

type peer struct {
	tried sync.Once
	api   *client // nil: go through the endpoint
	pool  *http.Transport
}

// direct returns a client of the node itself, or the endpoint's.
func (p *Provider) direct(ctx context.Context, node string) *client {
	p.peers.known.Do(func() { p.peers.at, p.peers.pins = p.meet(ctx) })
	address := p.peers.at[node]
	if address == nil {
		return p.api
	}
	p.peers.mu.Lock()
	if p.peers.open == nil {
		p.peers.open = make(map[string]*peer)
	}
	if p.peers.open[node] == nil {
		p.peers.open[node] = new(peer)
	}
	known := p.peers.open[node]
	p.peers.mu.Unlock()
	known.tried.Do(func() { p.visit(ctx, known, address, p.peers.pins[node]) })
	if known.api == nil {
		return p.api
	}
	return known.api
}

// meet asks for the addresses of all nodes but the endpoint's own, which
// tokens with Sys.Audit on / are told, and for their certificates, which all
// are told.
func (p *Provider) meet(ctx context.Context) (at map[string]*url.URL, pins map[string]string) {
	var members []struct {
		Type  text `json:"type"` // cluster, node
		Name  text `json:"name"`
		IP    text `json:"ip"`
		Local flag `json:"local"`
	}
	if p.api.get(ctx, "/cluster/status", &members) != nil {
		return nil, nil
	}
	all, err := p.pveNodes(ctx)
	if err != nil {
		return nil, nil
	}
	at, pins = make(map[string]*url.URL), make(map[string]string)
	for _, m := range members {
		if m.Type == "node" && m.IP != "" && !bool(m.Local) {
			at[string(m.Name)] = &url.URL{Scheme: "https", Host: hostPort(string(m.IP), p.cfg.Endpoint.Port())}
		}
	}
	for _, node := range all {
		if pin, err := tlspin.Parse(string(node.Fingerprint)); err == nil {
			pins[string(node.Name)] = pin
		}
	}
	return at, pins
}

// visit opens a client of a node when it answers and is trusted: by the
// fingerprint that the endpoint tells of it, or by the authority of the spec.
func (p *Provider) visit(ctx context.Context, to *peer, at *url.URL, pin string) {
	trust := anchors{host: at.Host, name: at.Hostname(), roots: p.trust.roots}
	if pin != "" {
		trust.pins = []string{pin}
	} else if trust.roots == nil {
		trust.roots = x509.NewCertPool() // trust nobody, rather than the system's
	}
	to.pool = newTransport(trust)
	api, err := newClient(at, to.pool, p.token, p.pace)
	if err != nil {
		return
	}
	limit := p.pace.Budget(knock)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	if api.get(ctx, "/version", &struct{}{}) == nil {
		to.api = api
	}
}

// leave drops idle connections.
func (ps *peers) leave() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, known := range ps.open {
		if known.pool != nil {
			known.pool.CloseIdleConnections()
		}
	}
}
