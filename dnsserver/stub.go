package dnsserver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/hint"
)

// resolvedServers is where systemd-resolved keeps the servers that it asks
// itself (systemd-resolved.service(8), /ETC/RESOLV.CONF).
const resolvedServers = "/run/systemd/resolve/resolv.conf"

// stubs are the addresses at which systemd-resolved answers on this host. It
// may have been told to ask us about our zones, and to ask it in turn would go
// round: its own servers are asked instead.
var stubs = []netip.Addr{netip.MustParseAddr("127.0.0.53"), netip.MustParseAddr("127.0.0.54")}

// pastStubs replaces stubs among upstreams by the servers named in path.
func pastStubs(upstreams []netip.AddrPort, path string) ([]netip.AddrPort, error) {
	var real []netip.AddrPort
	for _, u := range upstreams {
		if !slices.Contains(stubs, u.Addr()) {
			real = append(real, u)
			continue
		}
		servers, err := nameservers(path)
		if err != nil {
			return nil, hint.With(fmt.Errorf("upstream %s is systemd-resolved on this host: %w", u, err), "name the DNS servers that it asks (resolvectl dns)")
		}
		real = append(real, servers...)
	}
	return slices.Compact(real), nil
}

// nameservers reads the servers of a resolv.conf file that are not stubs.
func nameservers(path string) (servers []netip.AddrPort, err error) {
	conf, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil, err
	}
	for _, text := range conf.Servers {
		if addr, err := netip.ParseAddr(text); err == nil && !slices.Contains(stubs, addr) {
			servers = append(servers, netip.AddrPortFrom(addr, 53))
		}
	}
	if len(servers) == 0 {
		return nil, errors.New(path + " names no server")
	}
	return servers, nil
}
