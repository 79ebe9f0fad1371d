package node

import (
	"context"
	"errors"
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

// routerReplicas is how many routers a cluster has (IngressController: two,
// with a single node one).
func (c *cluster) routerReplicas() int { return min(2, len(c.bundle.Hosts)) }

// schedulable reports whether control plane nodes take workloads: where there
// are fewer than two workers.
func (c *cluster) schedulable() bool { return len(c.bundle.withRole("worker")) < 2 }

// works reports whether workloads run on m, routers among them.
func (c *cluster) works(m Member) bool { return m.Role == "worker" || c.schedulable() }

// awaitRouter waits until the scheduler puts a router on this node, which is
// at once on the first that are Ready, and later where it replaces one of a
// node that is gone.
func (i *installed) awaitRouter() error {
	if !i.cluster.works(i.member) {
		return errNoWork
	}
	for !i.cluster.scheduleRouter(i.member.HostID) {
		if err := i.sleep(rescheduleTime); err != nil {
			return err
		}
	}
	i.spawn(func(ctx context.Context) { <-ctx.Done(); i.cluster.removeRouter(i.member.HostID) })
	return nil
}

var errNoWork = errors.New("no workloads run on this node")

func (c *cluster) scheduleRouter(id string) bool {
	return c.learn(func(f *facts) bool {
		if len(f.Routers) >= c.routerReplicas() {
			return false
		}
		f.setRouter(id, false)
		return true
	})
}

func (f *facts) setRouter(id string, runs bool) {
	if f.Routers == nil {
		f.Routers = map[string]bool{}
	}
	f.Routers[id] = runs
}

func (c *cluster) removeRouter(id string) {
	c.learn(func(f *facts) bool {
		_, scheduled := f.Routers[id]
		delete(f.Routers, id)
		return scheduled
	})
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
		func() error { return i.serveHTTP(i.ctx, httpPort, nil, http.HandlerFunc(c.redirect)) },
		func() error { return i.serveHTTP(i.ctx, httpsPort, &certificate, http.HandlerFunc(c.route)) },
		func() error { return i.serveHTTP(i.ctx, routerHealthPort, nil, health) },
	} {
		if err := start(); err != nil {
			i.host.stuck(err)
			return
		}
	}
	c.routerRuns(i.member.HostID)
}

func (c *cluster) routerRuns(id string) {
	c.learn(func(f *facts) bool { f.setRouter(id, true); return true })
}

// wantRouter is an error until a router runs.
func (c *cluster) wantRouter() error {
	for _, up := range c.facts().Routers {
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
