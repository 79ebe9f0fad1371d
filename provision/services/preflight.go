package services

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

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
// served: haproxy if it must be that, the services address, the ports and the
// right to them. Ports that a serve of the same owner has are ours. What only
// deserves a word, such as which balancer will serve, is not fatal.
func Preflight(ctx context.Context, d Document) []provider.Problem {
	problems := append(chosen(ctx, d.Balancer.Mode), exposed(d.Balancer)...)
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

// CheckRunDir says why the run directory at path could not be made or used. It
// makes nothing.
func CheckRunDir(path string) error {
	for {
		info, err := os.Stat(path)
		switch parent := filepath.Dir(path); {
		case errors.Is(err, fs.ErrNotExist) && parent != path:
			path = parent
			continue
		case err != nil:
			return err
		case !info.IsDir():
			return &fs.PathError{Op: "use", Path: path, Err: syscall.ENOTDIR}
		}
		if err := unix.Access(path, unix.W_OK|unix.X_OK); err != nil {
			return &fs.PathError{Op: "write in", Path: path, Err: err}
		}
		return nil
	}
}

// chosen tells which balancer serves instead of the one that is not there.
func chosen(ctx context.Context, mode loadbalancer.Mode) []provider.Problem {
	_, note, err := loadbalancer.Choose(ctx, mode)
	switch {
	case err != nil:
		return []provider.Problem{problem(err)}
	case note != "":
		return []provider.Problem{{What: note}}
	}
	return nil
}

// exposed warns of machine configs on an address that is not of the network
// they are for: its machines come from elsewhere then, and so may others.
func exposed(c loadbalancer.Config) []provider.Problem {
	for _, f := range c.Frontends {
		inside := func(p netip.Prefix) bool { return p.Contains(f.Bind.Addr()) }
		if f.Check == loadbalancer.CheckMachine && !slices.ContainsFunc(f.Allow, inside) {
			return []provider.Problem{{
				What: fmt.Sprintf("the services address %s is outside of the machine network: port %d, which hands out secrets, listens where others are", f.Bind.Addr(), f.Bind.Port()),
				Hint: "give the services an address of the machine network; clients from elsewhere get a reset in any case",
			}}
		}
	}
	return nil
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
