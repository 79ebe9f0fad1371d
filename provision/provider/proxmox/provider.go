package proxmox

import (
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/internal/tlspin"
	"github.com/slipway-project/slipway/provision/provider"
)

// Options is what a Provider takes from its surroundings.
type Options struct {
	Pace   pace.Pace
	Lookup func(variable string) (value string, ok bool) // os.LookupEnv
}

// A Provider makes machines of virtual machines. It is safe for concurrent
// use, and keeps nothing that a new one would not find out again.
type Provider struct {
	cfg   Config
	trust anchors
	api   *client
	peers peers
	pool  *http.Transport
	token func() (apiToken, error)
	pace  pace.Pace

	list    shared[[]guest]
	tasks   shared[[]taskStatus] // the latest of the cluster
	running lists                // of virtual machines, by node
	recent  recent

	mu       sync.Mutex
	allotted map[string]provider.Machine // by full name: chosen by Allocate, perhaps not yet there
	fresh    map[string]bool             // those of them that nothing may have been begun for
	land     landscape
	nodes    nodesSeen
}

var (
	_ provider.Provider      = (*Provider)(nil)
	_ provider.Allocator     = (*Provider)(nil)
	_ provider.Powerer       = (*Provider)(nil)
	_ provider.MediaInserter = (*Provider)(nil)
	_ provider.ImageStore    = (*Provider)(nil)
	_ provider.CloudImager   = (*Provider)(nil)
)

// Open returns a Provider for cfg. Nobody is contacted, and the token is not
// read before the first call.
func Open(cfg Config, opts Options) (*Provider, error) {
	trust, err := cfg.anchors(opts.Lookup)
	if err != nil {
		return nil, err
	}
	p := &Provider{
		cfg: cfg, trust: trust, pace: opts.Pace, pool: newTransport(trust),
		token: firstUse(cfg.tokenOr(opts.Lookup)), allotted: make(map[string]provider.Machine), fresh: make(map[string]bool),
		recent: recent{pace: opts.Pace},
	}
	p.list.fetch, p.tasks.fetch = p.askGuests, p.askTasks
	p.api, err = newClient(cfg.Endpoint, p.pool, p.token, opts.Pace)
	return p, err
}

// Close drops idle connections. The Provider can still be used.
func (p *Provider) Close() {
	p.pool.CloseIdleConnections()
	p.peers.leave()
}

// Caps says that machines are created and boot from images.
func (p *Provider) Caps() provider.Caps { return provider.Caps{Creates: true, Media: true} }

func (cfg Config) tokenOr(lookup func(string) (string, bool)) secret.Value {
	if cfg.Token.Set() {
		return cfg.Token
	}
	return secret.New("environment variable "+TokenVariable, func() (string, error) {
		if token, ok := lookup(TokenVariable); ok && token != "" {
			return token, nil
		}
		return "", errNoToken
	})
}

var errNoToken = hint.With(
	errors.New("it is not set"),
	"export "+TokenVariable+"='USER@REALM!NAME=UUID', or give a secret as token")

func (cfg Config) anchors(lookup func(string) (string, bool)) (anchors, error) {
	a := anchors{host: cfg.Endpoint.Host, name: cfg.Endpoint.Hostname()}
	if cfg.Fingerprint != "" {
		a.pins = append(a.pins, cfg.Fingerprint)
	}
	if given, ok := lookup(FingerprintVariable); ok && given != "" {
		pin, err := tlspin.Parse(given)
		if err != nil {
			return a, fmt.Errorf("environment variable %s: %w", FingerprintVariable, err)
		}
		a.pins = append(a.pins, pin)
	}
	if cfg.CA == "" {
		return a, nil
	}
	var err error
	a.roots, err = readRoots(cfg.CA)
	return a, err
}
