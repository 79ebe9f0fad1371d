package services

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/portholder"
	"github.com/slipway-project/slipway/internal/process"
	"github.com/slipway-project/slipway/loadbalancer"
	"github.com/slipway-project/slipway/provision/provider"
)

// A port is one socket that serving a document takes.
type port struct {
	network string
	addr    netip.AddrPort
}

func ports(d Document) []port {
	var out []port
	for _, a := range d.DNS.Listen {
		out = append(out, port{"udp", a}, port{"tcp", a})
	}
	for _, f := range d.Balancer.Frontends {
		out = append(out, port{"tcp", f.Bind})
	}
	return out
}

// Preflight looks for everything on this host that would keep d from being
// served: haproxy, the services address, the ports and the right to them.
// Ports that a serve of the same owner has are ours.
func Preflight(ctx context.Context, d Document) []provider.Problem {
	var problems []provider.Problem
	if _, err := loadbalancer.Find(ctx); err != nil {
		problems = append(problems, problem(err))
	}
	var denied []string
	absent := map[netip.Addr]bool{}
	for _, p := range ports(d) {
		err := portholder.Probe(p.network, p.addr)
		switch {
		case err == nil || absent[p.addr.Addr()]:
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			absent[p.addr.Addr()] = true
			problems = append(problems, missingAddress(p.addr.Addr(), err))
		case errors.Is(err, syscall.EACCES):
			denied = append(denied, fmt.Sprint(p.addr.Port()))
		case !heldBy(d.Owner, p):
			problems = append(problems, problem(err))
		}
	}
	return append(problems, unprivileged(denied)...)
}

func problem(err error) provider.Problem {
	return provider.Problem{What: err.Error(), Hint: hint.Of(err), Fatal: true}
}

func missingAddress(a netip.Addr, err error) provider.Problem {
	return provider.Problem{What: fmt.Sprintf("services address %s is not on this host", a), Hint: hint.Of(err), Fatal: true}
}

// unprivileged is one problem for all low ports: DNS needs them in our process
// and haproxy in its own, which file capabilities of ours do not reach.
func unprivileged(denied []string) []provider.Problem {
	if len(denied) == 0 {
		return nil
	}
	return []provider.Problem{{
		What:  "no right to bind ports " + strings.Join(slices.Compact(denied), ", "),
		Hint:  "run as root, or sysctl -w net.ipv4.ip_unprivileged_port_start=53, or setcap cap_net_bind_service=+ep on both slipway and haproxy",
		Fatal: true,
	}}
}

// heldBy reports whether a serve of owner, or its haproxy, has the port.
func heldBy(owner string, p port) bool {
	_, pid, ok := portholder.Holder(p.network, p.addr)
	if !ok {
		return false
	}
	holder, err := process.Identify(pid)
	args := holder.Args()
	return err == nil && (isServe(args, owner) || option(args, "-L") == owner)
}
