package probe

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"github.com/slipway-project/slipway/internal/sshx"
)

// maxNameservers is MAXNS of resolv.conf(5): a resolver reads no more.
const maxNameservers = 3

// A Resolver is where a host looks names up, by its resolv.conf(5).
type Resolver struct {
	Servers []netip.Addr // in the order in which they are asked, at least one
	Search  []string     // domains, absolute, that are tried behind a name without a final dot
}

// HostResolver reads the resolver of a host over an open connection.
func HostResolver(ctx context.Context, c *sshx.Client) (Resolver, error) {
	out, err := c.Run(ctx, "hostname && cat /etc/resolv.conf")
	if err != nil {
		return Resolver{}, err
	}
	name, conf, _ := strings.Cut(out, "\n")
	r := parseResolver(conf, strings.TrimSpace(name))
	if len(r.Servers) == 0 {
		err = errors.New("/etc/resolv.conf names no DNS server")
	}
	return r, err
}

// parseResolver reads a resolv.conf; without a search list there, a host of a
// name with dots searches the domain of that name.
func parseResolver(conf, hostname string) (r Resolver) {
	_, domain, _ := strings.Cut(hostname, ".")
	search := []string{domain}
	for line := range strings.Lines(conf) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			r.add(fields[1])
		case "search":
			search = fields[1:]
		case "domain":
			search = fields[1:2]
		}
	}
	r.Search = absolute(search)
	return r
}

// add takes an address as the C library does: what is none is passed over.
func (r *Resolver) add(server string) {
	if a, err := netip.ParseAddr(server); err == nil && len(r.Servers) < maxNameservers {
		r.Servers = append(r.Servers, a)
	}
}

// absolute leaves out the root, which is how "search ." says that there is no
// domain to search.
func absolute(domains []string) (list []string) {
	for _, d := range domains {
		if d = strings.Trim(d, "."); d != "" {
			list = append(list, d+".")
		}
	}
	return list
}
