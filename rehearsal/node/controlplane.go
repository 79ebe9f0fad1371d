package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	apiPort           = 6443
	machineConfigPort = 22623
)

// A controlPlane is etcd, API server and machine config server on one host.
type controlPlane struct {
	system  *system
	cluster *cluster
	member  string // of etcd
	phase   atomic.Int32
}

// The phases of an API server.
const (
	apiStarting int32 = iota
	apiServing
	apiDraining
)

// startControlPlane serves the cluster's API and machine configurations from
// this host until ctx ends, which is no longer than its system.
func (s *system) startControlPlane(ctx context.Context, c *cluster, member string) (*controlPlane, error) {
	p := &controlPlane{system: s, cluster: c, member: member}
	full := c.bundle.fullName()
	certificate, err := c.ca.server("kube-apiserver", []string{"api." + full, "api-int." + full, s.name(), "kubernetes", "kubernetes.default.svc", localhost}, s.net.addrs())
	if err != nil {
		return nil, err
	}
	if err := s.serveHTTP(ctx, apiPort, &certificate, p); err != nil {
		return nil, err
	}
	if err := s.serveHTTP(ctx, machineConfigPort, &certificate, c.serveMachineConfig()); err != nil {
		return nil, err
	}
	c.etcdUp(member)
	s.spawn(func(context.Context) { <-ctx.Done(); c.etcdDown(member) })
	s.spawn(p.warmUp)
	return p, nil
}

// serveHTTP answers on port until ctx ends; over TLS with a certificate. Client
// certificates are the handler's to judge.
func (s *system) serveHTTP(ctx context.Context, port int, certificate *tls.Certificate, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: apiTimeout, ErrorLog: log.New(io.Discard, "", 0)}
	run := server.Serve
	if certificate != nil {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}, ClientAuth: tls.RequestClientCert}
		run = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	if err := s.serve(port, func(l net.Listener) { run(l) }); err != nil {
		return err
	}
	s.spawn(func(context.Context) { <-ctx.Done(); server.Close() })
	return nil
}

func (p *controlPlane) warmUp(context.Context) {
	if p.system.sleep(apiWarmup) == nil {
		p.phase.CompareAndSwap(apiStarting, apiServing)
	}
}

// drain lets load balancers see that the API server is about to go, while it
// still answers (shutdown-delay-duration).
func (p *controlPlane) drain() {
	p.phase.Store(apiDraining)
	p.system.sleep(apiDrain)
}

// A health is one check of /readyz.
type health struct {
	name string
	err  error
}

var (
	errStarting = errors.New("not finished")
	errShutdown = errors.New("process is shutting down")
)

func (p *controlPlane) checks(path string) []health {
	var starting, shutdown error
	switch p.phase.Load() {
	case apiStarting:
		starting = errStarting
	case apiDraining:
		shutdown = errShutdown
	}
	list := []health{{"ping", nil}, {"log", nil}, {"etcd", p.cluster.quorum()}, {"poststarthook/rbac/bootstrap-roles", starting}}
	if path == "/readyz" {
		list = append(list, health{"informer-sync", starting}, health{"shutdown", shutdown})
	}
	return list
}

// ServeHTTP answers the health endpoints and /version to anybody, and the API
// to whom it may concern.
func (p *controlPlane) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := strings.TrimSuffix(r.URL.Path, "/"); path {
	case "/readyz", "/livez", "/healthz":
		p.serveHealth(w, r, path)
	case "/version":
		writeJSON(w, http.StatusOK, versionInfo(p.cluster.bundle.Release))
	default:
		p.serveAPI(w, r)
	}
}

func (p *controlPlane) serveHealth(w http.ResponseWriter, r *http.Request, path string) {
	var text strings.Builder
	failed := false
	for _, check := range p.checks(path) {
		if check.err != nil {
			failed = true
			fmt.Fprintf(&text, "[-]%s failed: reason withheld\n", check.name)
		} else {
			fmt.Fprintf(&text, "[+]%s ok\n", check.name)
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, verbose := r.URL.Query()["verbose"]
	name := strings.TrimPrefix(path, "/")
	switch {
	case failed:
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "%s%s check failed\n", text.String(), name)
	case verbose:
		fmt.Fprintf(w, "%s%s check passed\n", text.String(), name)
	default:
		io.WriteString(w, "ok")
	}
}

// etcdTimeout is how long the API server waits for an etcd without a leader.
const etcdTimeout = 7 * time.Second

func (p *controlPlane) serveAPI(w http.ResponseWriter, r *http.Request) {
	code, body, err := p.answer(r)
	var status *statusError
	switch {
	case errors.As(err, &status):
		writeJSON(w, status.Code, status)
	case err != nil:
		status = failure(http.StatusInternalServerError, "InternalError", "%v", err)
		writeJSON(w, status.Code, status)
	default:
		writeJSON(w, code, body)
	}
}

func (p *controlPlane) answer(r *http.Request) (int, any, error) {
	if err := p.cluster.quorum(); err != nil {
		timer := time.NewTimer(p.system.host.patience(etcdTimeout))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
		return 0, nil, err
	}
	return p.cluster.rest(r)
}

// startBootkube is the temporary control plane of a bootstrap host, which also
// lets the first nodes in and reports them. It drains and ends with stop.
func (s *system) startBootkube(c *cluster, installer *service) (stop func(), err error) {
	s.setUnit("bootkube", "activating", "Rendering cluster assets")
	if err := s.sleep(bootkubeTime); err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(s.ctx)
	p, err := s.startControlPlane(ctx, c, temporaryID(s.host.hostID()))
	if err != nil {
		end()
		return nil, err
	}
	s.setUnit("bootkube", "active", "Starting cluster-bootstrap...")
	s.spawn(func(ctx context.Context) {
		for !c.bootstrapped() && s.sleep(controllerEvery) == nil {
			c.approvePending("AutoApproved")
			c.reportHosts(ctx, installer)
		}
	})
	return func() { p.drain(); end() }, nil
}
