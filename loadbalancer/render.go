package loadbalancer

import (
	"errors"
	"fmt"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/templates"
)

// An Env is what a configuration depends on besides a Config.
type Env struct {
	Version Version // of the haproxy that will read it
	RunDir  string  // absolute, at most 80 bytes; sockets and server states
	MaxConn int     // connections in all; see [MaxConn]
}

// maxRunDir leaves room for the socket names in the 108 bytes of sun_path;
// haproxy binds under a longer, temporary name first.
const maxRunDir = 80

// machineMaxConn bounds the machine config server's frontend: a cluster boots
// few machines at a time.
const machineMaxConn = 500

// A kind holds what a Check stands for. A check has as long as the interval:
// with a timeout of its own, haproxy would give its TLS no longer than the
// connection of a client, which has to be short. Time to removal, worst case:
// 6.3 s for a hung API server (the OpenShift documentation allows 30 s).
type kind struct {
	templates.HAProxyCheck
	bySource     bool
	cutDown      bool
	watchTraffic bool
	maxConn      int
}

var checks = map[Check]kind{
	// verify none is right: the check speaks to an address, before anybody
	// holds the cluster's CA.
	CheckAPI: {
		HAProxyCheck: templates.HAProxyCheck{
			Path: "/readyz", TLS: true, Fall: 2, Rise: 2,
			Every: 2 * time.Second, Fast: 250 * time.Millisecond, Down: 2 * time.Second,
		},
		cutDown: true, watchTraffic: true,
	},
	// No cutting of sessions: fetching an ignition config is long on slow links.
	CheckMachine: {
		HAProxyCheck: templates.HAProxyCheck{
			Path: "/healthz", TLS: true, Fall: 2, Rise: 1,
			Every: 3 * time.Second, Fast: time.Second, Down: 2 * time.Second,
		},
		maxConn: machineMaxConn,
	},
	// The router itself says when it drains (OpenShift: port 1936).
	CheckRouter: {
		HAProxyCheck: templates.HAProxyCheck{
			Path: "/healthz/ready", Port: 1936, Fall: 2, Rise: 2,
			Every: 3 * time.Second, Fast: time.Second, Down: 2 * time.Second,
		},
		bySource: true,
	},
}

// Render returns the HAProxy configuration for c. It uses nothing newer than
// HAProxy 2.4, the oldest version accepted.
func Render(c Config, env Env) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("load balancer: %w", err)
	}
	if err := env.validate(); err != nil {
		return nil, err
	}
	return templates.HAProxy(templates.HAProxyData{MaxConn: env.MaxConn, RunDir: env.RunDir, Frontends: c.data(env)})
}

// RenderNginx returns the stream block of an nginx configuration for c. What
// nginx cannot do is said in it.
func RenderNginx(c Config) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("load balancer: %w", err)
	}
	for _, f := range c.Frontends {
		if len(f.Members) == 0 {
			return nil, fmt.Errorf("load balancer: frontend %q has no members yet, and nginx wants one", f.Name)
		}
	}
	return templates.Nginx(c.data(Env{}))
}

// RenderKeepalived returns the keepalived configuration of hosts that share
// the address of c's first frontend on the named network interface, each with
// a haproxy that has its sockets in runDir.
func RenderKeepalived(c Config, device, runDir string) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("load balancer: %w", err)
	}
	if len(c.Frontends) == 0 {
		return nil, errors.New("load balancer: no frontend, hence no address to share")
	}
	shared := c.Frontends[0].Bind.Addr()
	bytes := shared.AsSlice()
	id := max(1, int(bytes[len(bytes)-1]))
	return templates.Keepalived(templates.KeepalivedData{Interface: device, RouterID: id, Address: shared, RunDir: runDir})
}

func (c Config) data(env Env) (all []templates.HAProxyFrontend) {
	for i, f := range c.Frontends {
		all = append(all, f.data(c.Frontends[:i], env))
	}
	return all
}

func (e Env) validate() error {
	if e.Version.Less(Oldest) {
		return tooOld(e.Version)
	}
	if len(e.RunDir) > maxRunDir || !templates.ValidPath(e.RunDir) {
		return hint.With(fmt.Errorf("run directory %q cannot hold haproxy's sockets", e.RunDir),
			fmt.Sprintf("use an absolute path of letters, digits, . _ + @ : , = - and at most %d bytes", maxRunDir))
	}
	return nil
}

func (f Frontend) data(before []Frontend, env Env) templates.HAProxyFrontend {
	k := checks[f.Check]
	d := templates.HAProxyFrontend{
		Name: f.Name, Bind: f.Bind, Allow: f.Allow, BySource: k.bySource, Check: k.HAProxyCheck, CutDown: k.cutDown,
		// With one server there is nothing to fail over to: leaving it out
		// sooner would only turn slow into refused.
		WatchTraffic: k.watchTraffic && len(f.Members) > 1,
	}
	if k.maxConn > 0 {
		d.MaxConn = min(k.maxConn, env.MaxConn)
	}
	for _, m := range f.Members {
		d.Servers = append(d.Servers, templates.HAProxyServer{
			Name: m.Name, Address: m.Address, Track: tracked(f, m, before), Backup: m.Role == RoleBootstrap,
		})
	}
	return d
}

// tracked names the earlier frontend whose checks already tell the health of
// m, which is so when the check has a port of its own: one probe a router.
func tracked(f Frontend, m Member, before []Frontend) string {
	if checks[f.Check].Port == 0 {
		return ""
	}
	for _, b := range before {
		if b.Check == f.Check && b.checks(m) {
			return b.Name
		}
	}
	return ""
}

func (f Frontend) checks(m Member) bool {
	for _, own := range f.Members {
		if own.Name == m.Name && own.Address.Addr() == m.Address.Addr() {
			return true
		}
	}
	return false
}
