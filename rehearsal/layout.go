package rehearsal

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A layout says which address everything in a World has.
type layout struct {
	networks  []network
	remotes   []netip.Addr                // datacentre addresses outside of all networks
	endpoints map[string]endpoint         // by the URL in the Config
	names     map[string]netip.Addr       // endpoint host names that are not IP literals
	peers     map[string][]netip.AddrPort // by the URL of a hypervisor: where its further nodes answer
}

// A network is a NetworkConfig with everything decided.
type network struct {
	segment    string
	cidr       netip.Prefix
	gateway    netip.Addr
	datacentre []netip.Addr // addresses on the bridge, the gateway first
	services   []netip.Addr // addresses of the services host
	static     []netip.Addr // addresses that DHCP leaves alone
	pool       pool         // of the DHCP server; empty: none runs
}

// An endpoint is a place where a simulated server answers.
type endpoint struct {
	scheme string
	host   string // as in the URL
	at     netip.AddrPort
	home   bool // on the services host itself
}

// elsewhere are networks for endpoints that the spec knows by name only
// (RFC 5737, RFC 2544); the first that no network of the spec overlaps is used.
var elsewhere = []netip.Prefix{
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("198.18.0.0/24"),
}

func newLayout(c Config) (*layout, error) {
	l := &layout{endpoints: map[string]endpoint{}, names: map[string]netip.Addr{}, peers: map[string][]netip.AddrPort{}}
	for _, n := range c.Networks {
		l.networks = append(l.networks, network{segment: n.segment(), cidr: n.CIDR.Masked(), gateway: n.Gateway, static: n.Static})
	}
	if len(c.Services) == 0 {
		return nil, errors.New("no services address")
	}
	for _, a := range c.Services {
		if err := l.addServices(a); err != nil {
			return nil, err
		}
	}
	if err := l.addEndpoints(c); err != nil {
		return nil, err
	}
	if err := l.addPeers(c.Hypervisors); err != nil {
		return nil, err
	}
	if err := l.addGateways(); err != nil {
		return nil, err
	}
	l.addPools()
	return l, nil
}

func (l *layout) addServices(a netip.Addr) error {
	n := l.network(a)
	if n == nil {
		return fmt.Errorf("services address %s: in none of the networks", a)
	}
	n.services = append(n.services, a)
	return nil
}

func (l *layout) network(a netip.Addr) *network {
	i := slices.IndexFunc(l.networks, func(n network) bool { return n.cidr.Contains(a) })
	if i < 0 {
		return nil
	}
	return &l.networks[i]
}

func (l *layout) addEndpoints(c Config) error {
	for _, h := range c.Hypervisors {
		if err := l.addEndpoint(h.URL, map[string]int{"https": 8006}); err != nil {
			return fmt.Errorf("hypervisor: %w", err)
		}
	}
	for _, i := range c.Installers {
		if err := l.addEndpoint(i.URL, map[string]int{"https": 443, "http": 80}); err != nil {
			return fmt.Errorf("installer: %w", err)
		}
	}
	return nil
}

// addEndpoint places the server of a URL whose scheme is one of ports, the
// default port of each.
func (l *layout) addEndpoint(raw string, ports map[string]int) error {
	u, err := url.Parse(raw)
	if err != nil {
		return err
	}
	port, ok := ports[u.Scheme]
	if !ok || u.Hostname() == "" {
		return fmt.Errorf("endpoint %q: not a URL of a server there", raw)
	}
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
			return fmt.Errorf("endpoint %q: no such port", raw)
		}
	}
	addr, err := l.locate(u.Hostname())
	if err != nil {
		return fmt.Errorf("endpoint %q: %w", raw, err)
	}
	return l.place(raw, endpoint{u.Scheme, u.Hostname(), netip.AddrPortFrom(addr, uint16(port)), false})
}

func (l *layout) place(raw string, e endpoint) error {
	for other, taken := range l.endpoints {
		if taken.at == e.at {
			return fmt.Errorf("endpoint %q: at %s there is %q already", raw, e.at, other)
		}
	}
	e.home = e.at.Addr().IsLoopback() || l.isServices(e.at.Addr())
	if !e.home {
		l.give(e.at.Addr())
	}
	l.endpoints[raw] = e
	return nil
}

// addPeers gives all nodes of a hypervisor but the first, which the endpoint
// is, addresses of their own outside of the networks, and the endpoint's port.
func (l *layout) addPeers(hypervisors []HypervisorConfig) error {
	for _, h := range hypervisors {
		for _, node := range h.peers() {
			a, err := l.allocate()
			if err != nil {
				return fmt.Errorf("hypervisor %s: node %s: %w", h.URL, node, err)
			}
			l.give(a)
			l.peers[h.URL] = append(l.peers[h.URL], netip.AddrPortFrom(a, l.endpoints[h.URL].at.Port()))
		}
	}
	return nil
}

// give makes a an address of the datacentre.
func (l *layout) give(a netip.Addr) {
	holders := &l.remotes
	if n := l.network(a); n != nil {
		holders = &n.datacentre
	}
	if !slices.Contains(*holders, a) {
		*holders = append(*holders, a)
	}
}

func (l *layout) isServices(a netip.Addr) bool {
	n := l.network(a)
	return n != nil && slices.Contains(n.services, a)
}

// locate returns the address of a host; a name gets a free one.
func (l *layout) locate(host string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap(), nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	if a, ok := l.names[name]; ok {
		return a, nil
	}
	a, err := l.allocate()
	if err == nil {
		l.names[name] = a
	}
	return a, err
}

func (l *layout) allocate() (netip.Addr, error) {
	for _, p := range elsewhere {
		if slices.ContainsFunc(l.networks, func(n network) bool { return n.cidr.Overlaps(p) }) {
			continue
		}
		if a, ok := firstFree(p, l.taken); ok {
			return a, nil
		}
	}
	return netip.Addr{}, errors.New("no free address left for it")
}

func (l *layout) taken(a netip.Addr) bool {
	for _, given := range l.names {
		if given == a {
			return true
		}
	}
	n := l.network(a)
	return slices.Contains(l.remotes, a) || n != nil && (slices.Contains(n.services, a) || slices.Contains(n.datacentre, a))
}

// firstFree returns the first host address of p that is not taken.
func firstFree(p netip.Prefix, taken func(netip.Addr) bool) (netip.Addr, bool) {
	for a := p.Masked().Addr().Next(); p.Contains(a); a = a.Next() {
		if !taken(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// addGateways comes last, for a gateway nobody named takes what is left.
func (l *layout) addGateways() error {
	for i := range l.networks {
		n := &l.networks[i]
		if !n.gateway.IsValid() {
			n.gateway, _ = firstFree(n.cidr, func(a netip.Addr) bool { return l.taken(a) || slices.Contains(n.static, a) })
		}
		if !n.cidr.Contains(n.gateway) {
			return fmt.Errorf("network %s: no gateway %s in it", n.cidr, n.gateway)
		}
		if slices.Contains(n.services, n.gateway) {
			return fmt.Errorf("network %s: gateway %s is a services address", n.cidr, n.gateway)
		}
		others := slices.DeleteFunc(n.datacentre, func(a netip.Addr) bool { return a == n.gateway })
		n.datacentre = append([]netip.Addr{n.gateway}, others...)
	}
	return nil
}

// addPools gives each wire one DHCP server, that of its first network.
func (l *layout) addPools() {
	served := map[string]bool{}
	for i := range l.networks {
		n := &l.networks[i]
		if n.cidr.Addr().Is4() && !served[n.segment] {
			n.pool = widestPool(n.cidr, slices.Concat(n.datacentre, n.services, n.static))
			served[n.segment] = true
		}
	}
}

// hostsFile is the /etc/hosts of the services host.
func (l *layout) hostsFile() []byte {
	lines := []string{"127.0.0.1 localhost", "::1 localhost"}
	for name, a := range l.names {
		lines = append(lines, a.String()+" "+name)
	}
	slices.Sort(lines[2:])
	return []byte(strings.Join(lines, "\n") + "\n")
}

// resolvFile is its /etc/resolv.conf: the routers' DNS, as at home.
func (l *layout) resolvFile() []byte {
	var b strings.Builder
	for _, n := range l.networks {
		if len(n.services) > 0 {
			fmt.Fprintf(&b, "nameserver %s\n", n.gateway)
		}
	}
	return []byte(b.String())
}

// prefixes gives addresses the length of their network.
func (n network) prefixes(addrs []netip.Addr) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, a := range addrs {
		prefixes = append(prefixes, netip.PrefixFrom(a, n.cidr.Bits()))
	}
	return prefixes
}

func segmentName(bridge string, vlan int) string {
	if vlan == 0 {
		return bridge
	}
	return fmt.Sprintf("%s.%d", bridge, vlan)
}

func joinPort(a netip.Addr, port int) string { return net.JoinHostPort(a.String(), strconv.Itoa(port)) }
