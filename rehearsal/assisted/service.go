package assisted

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/rehearsal/node"
)

// Intervals and limits of the real service, before they are divided by Speed.
const (
	hostMonitor       = 8 * time.Second
	clusterMonitor    = 10 * time.Second
	agentPoll         = 60 * time.Second
	agentPollBackoff  = 120 * time.Second
	disconnectedAfter = 3 * time.Minute
	imageExpiration   = 4 * time.Hour
)

// minDisconnected keeps a loaded machine, which delays agents by wall time
// however fast the rehearsal is, from losing hosts.
const minDisconnected = 5 * time.Second

var defaultReleases = []string{"4.20.3", "4.20.0-okd-scos.15", "4.19.17"}

// Config is what a Service is made of.
type Config struct {
	URL       string       // base URL agents and image downloads are told: http://192.0.2.9:8090
	Token     string       // bearer token of the user; "": AUTH_TYPE none
	Dir       string       // where discovery images are kept, as files
	Speed     pace.Pace    // divides every duration
	Releases  []string     // default defaultReleases and Offer
	Offer     []string     // versions offered besides the default
	Minimum   Requirements // zero: the real service's table
	ImageSize int64        // bytes of a discovery ISO, default 32 MiB
	// Image writes a discovery ISO; nil: one of ImageSize that only simulated
	// hosts boot.
	Image func(path string, d node.Discovery) error
	// Limits divides the time limits of installations, which Speed divides when
	// it is 0: real machines boot no faster in a rehearsal.
	Limits    pace.Pace
	OnRequest func(r *Request) // called after each API request, may be nil
}

// A Request is one answered API request.
type Request struct {
	Method, Path string
	Status       int
}

// Service is a simulated assisted service. It is an http.Handler and safe for
// concurrent use.
type Service struct {
	config     Config
	agentToken string // X-Secret-Key of agents, "" without authentication
	mux        *http.ServeMux
	stop       context.CancelFunc
	loops      sync.WaitGroup

	mu        sync.Mutex // guards what follows
	clusters  map[string]*cluster
	infraEnvs map[string]*infraEnv
	events    []event
}

// New returns a running Service. Close it.
func New(config Config) (*Service, error) {
	if config.URL == "" || config.Dir == "" {
		return nil, errors.New("assisted service: URL and Dir are required")
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("assisted service: %w", err)
	}
	s := &Service{config: config.withDefaults(), clusters: map[string]*cluster{}, infraEnvs: map[string]*infraEnv{}}
	if config.Token != "" {
		s.agentToken = rand.Text()
	}
	s.mux = s.routes()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.loop(ctx, hostMonitor, s.refreshHosts)
	s.loop(ctx, clusterMonitor, s.refreshClusters)
	return s, nil
}

func (c Config) withDefaults() Config {
	c.URL = strings.TrimSuffix(c.URL, "/")
	if len(c.Releases) == 0 {
		c.Releases = slices.Concat(defaultReleases, c.Offer)
	}
	if c.Minimum == (Requirements{}) {
		c.Minimum = realRequirements
	}
	if c.ImageSize == 0 {
		c.ImageSize = 32 << 20
	}
	if c.Image == nil {
		c.Image = c.plainImage
	}
	if c.Limits == 0 {
		c.Limits = c.Speed
	}
	return c
}

// loop calls refresh with the lock held, every scaled interval.
func (s *Service) loop(ctx context.Context, every time.Duration, refresh func(now time.Time)) {
	s.loops.Go(func() {
		tick := time.NewTicker(max(s.config.Speed.Scale(every), time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				s.locked(func() { refresh(now) })
			}
		}
	})
}

func (s *Service) locked(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// Close ends the monitors and removes the images. Requests must have ended.
func (s *Service) Close() error {
	s.stop()
	s.loops.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, ie := range s.infraEnvs {
		errs = append(errs, s.dropImage(ie))
	}
	return errors.Join(errs...)
}

// Clusters lists the registered clusters as "<name>.<domain> <id>", sorted.
func (s *Service) Clusters() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, c := range s.clusters {
		list = append(list, c.Name+"."+c.BaseDNSDomain+" "+c.ID)
	}
	slices.Sort(list)
	return list
}

// InfraEnvs lists the registered infra envs as "<name> <id>", sorted.
func (s *Service) InfraEnvs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, ie := range s.infraEnvs {
		list = append(list, ie.Name+" "+ie.ID)
	}
	slices.Sort(list)
	return list
}
