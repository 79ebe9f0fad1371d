package assisted

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/internal/tlspin"
	"github.com/slipway-project/slipway/provision/installer"
)

// Options is what a run decides, not the spec.
type Options struct {
	Pace pace.Pace // of polls, settle times and budgets
}

// An Engine installs with one assisted service. It is safe for concurrent use.
type Engine struct {
	endpoint string // http://192.0.2.9:8090
	token    secret.Value
	pace     pace.Pace
	http     *http.Client

	mu      sync.Mutex
	failing map[string]map[string]time.Time // cluster id -> validation -> since when it has failed in every poll
}

var _ installer.Installer = (*Engine)(nil)

// Open returns an engine for the service of config. It contacts nobody; it
// reads the file of the authority when one is given.
func Open(config Config, options Options) (*Engine, error) {
	var ca []byte
	if config.CA != "" {
		pem, err := os.ReadFile(config.CA)
		if err != nil {
			return nil, fmt.Errorf("read certificate authority: %w", err)
		}
		ca = pem
	}
	trust, err := tlspin.Config(config.Fingerprint, ca)
	if err != nil {
		return nil, fmt.Errorf("assisted service %s: %w", config.Endpoint, err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = trust
	return &Engine{
		endpoint: config.Endpoint.String(),
		token:    config.Token,
		pace:     options.Pace,
		http:     &http.Client{Transport: transport},
		failing:  map[string]map[string]time.Time{},
	}, nil
}

// Close ends idle connections.
func (e *Engine) Close() { e.http.CloseIdleConnections() }
