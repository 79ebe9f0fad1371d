package assisted

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/internal/tlspin"
	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/provider"
)

// Check looks for everything that would fail later: first what the service's
// rules say without asking it, then whether it answers, trusts us, and offers
// the release.
func (e *Engine) Check(ctx context.Context, c installer.Cluster) []provider.Problem {
	problems := append(checkTopology(c), checkHosts(c)...)
	if err := e.do(ctx, call{method: http.MethodGet, path: "/component-versions"}, nil); err != nil {
		return append(problems, e.explainUnreachable(err))
	}
	if _, err := e.version(ctx, c.Release); err != nil {
		problems = append(problems, fatal(hint.Of(err), "%v", err))
	}
	return problems
}

func fatal(advice, format string, args ...any) provider.Problem {
	return provider.Problem{What: fmt.Sprintf(format, args...), Hint: advice, Fatal: true}
}

func (e *Engine) explainUnreachable(err error) provider.Problem {
	var untrusted *tlspin.UntrustedError
	var unreadable *secret.ReadError
	switch {
	case errors.As(err, &unreadable):
		return provider.Problem{What: err.Error(), Hint: hint.Of(err), Fatal: true, Err: err}
	case errors.As(err, &untrusted):
		return fatal(fmt.Sprintf("compare it on the service's host, then write fingerprint = %q in the installer block", untrusted.Fingerprint),
			"assisted service %s: %v", e.endpoint, err)
	case is(err, http.StatusUnauthorized, http.StatusForbidden):
		return fatal("give a valid token: token in the installer block, or the environment variable "+TokenVariable,
			"assisted service %s refuses the token: %v", e.endpoint, err)
	case is(err, http.StatusNotFound):
		return fatal("the API of a self-hosted service is on port 8090", "%s is no assisted service: %v", e.endpoint, err)
	}
	return fatal("is the service running, and is this its address and port (8090 when self-hosted)?",
		"assisted service %s does not answer: %v", e.endpoint, err)
}

// checkTopology knows which clusters the service installs on platform none.
func checkTopology(c installer.Cluster) []provider.Problem {
	controls, workers := 0, 0
	for _, h := range c.Hosts {
		if h.Role == installer.ControlPlane {
			controls++
		} else {
			workers++
		}
	}
	switch {
	case controls != 1 && (controls < 3 || controls > 5):
		return []provider.Problem{fatal("use 1, 3, 4 or 5 control plane nodes", "the assisted service cannot install %d control plane nodes", controls)}
	case controls == 1 && workers > 0:
		return []provider.Problem{fatal("use 3 control plane nodes, or no workers", "the assisted service installs a single control plane node without workers, not with %d", workers)}
	}
	return nil
}

// A minimum is the hardware that the service asks of a host
// (HW_VALIDATOR_REQUIREMENTS of openshift/assisted-service).
type minimum struct {
	cpus, memory, disk int // count, MiB, GiB
}

// 100 GB are 93.1 GiB.
var minimums = map[installer.Role]minimum{
	installer.ControlPlane: {4, 16384, 94},
	installer.Worker:       {2, 8192, 94},
}

var singleNode = minimum{8, 16384, 94}

// checkHosts compares planned hardware with the minimum; what is not known
// (0) is not judged.
func checkHosts(c installer.Cluster) []provider.Problem {
	var problems []provider.Problem
	for _, h := range c.Hosts {
		need := minimums[h.Role]
		if len(c.Hosts) == 1 {
			need = singleNode
		}
		for _, part := range []struct {
			name, unit string
			have, need int
		}{{"CPUs", "", h.CPUs, need.cpus}, {"memory", " MiB", h.Memory, need.memory}, {"disk", " GiB", h.Disk, need.disk}} {
			if part.have != 0 && part.have < part.need {
				problems = append(problems, fatal("give its machines block more "+part.name,
					"%s has %d%s %s, the assisted service asks for at least %d%s", h.Node, part.have, part.unit, part.name, part.need, part.unit))
			}
		}
	}
	return problems
}
