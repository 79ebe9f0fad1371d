package node

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// Ports of the ingress router.
const (
	httpPort         = 80
	httpsPort        = 443
	routerHealthPort = 1936
)

// routerHosts are the hosts that run a router: workers, or control plane hosts
// where there are none.
func (c *cluster) routerHosts() []string {
	members := c.bundle.withRole("worker")
	if len(members) == 0 {
		members = c.bundle.withRole("master")
	}
	var ids []string
	for _, m := range members {
		ids = append(ids, m.HostID)
	}
	return ids
}

// startRouter serves the cluster's routes from this host.
func (i *installed) startRouter() {
	c := i.cluster
	certificate, err := c.ca.server("ingress-operator", []string{"*.apps." + c.bundle.fullName()}, nil)
	if err != nil {
		i.host.stuck(err)
		return
	}
	health := http.NewServeMux()
	health.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	health.HandleFunc("GET /healthz/ready", func(http.ResponseWriter, *http.Request) {})
	for _, start := range []func() error{
		func() error { return i.serveHTTP(httpPort, nil, http.HandlerFunc(c.redirect)) },
		func() error { return i.serveHTTP(httpsPort, &certificate, http.HandlerFunc(c.route)) },
		func() error { return i.serveHTTP(routerHealthPort, nil, health) },
	} {
		if err := start(); err != nil {
			i.host.stuck(err)
			return
		}
	}
	c.setRouter(i.member.HostID, true)
	i.spawn(func(ctx context.Context) { <-ctx.Done(); c.setRouter(i.member.HostID, false) })
}

func (c *cluster) setRouter(id string, up bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.routers[id] = up
}

// wantRouter is an error until a router runs.
func (c *cluster) wantRouter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, up := range c.routers {
		if up {
			return nil
		}
	}
	return fmt.Errorf("no router pod is running")
}

func (c *cluster) consoleHost() string {
	return "console-openshift-console.apps." + c.bundle.fullName()
}

// known reports whether a route for the request's host exists.
func (c *cluster) known(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, admitted := c.store.get(routes, "openshift-console", "console")
	return admitted && host == c.consoleHost()
}

// redirect sends known routes to https (insecureEdgeTerminationPolicy).
func (c *cluster) redirect(w http.ResponseWriter, r *http.Request) {
	if !c.known(r) {
		unavailable(w)
		return
	}
	http.Redirect(w, r, "https://"+c.consoleHost()+r.URL.RequestURI(), http.StatusFound)
}

func (c *cluster) route(w http.ResponseWriter, r *http.Request) {
	if !c.known(r) {
		unavailable(w)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!DOCTYPE html><html><head><title>Console of %s</title></head><body></body></html>\n", c.bundle.fullName())
}

// unavailable is what a router answers for hosts it has no route for.
func unavailable(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "private, max-age=0, no-cache, no-store")
	http.Error(w, "Application is not available", http.StatusServiceUnavailable)
}
