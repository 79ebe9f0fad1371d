package spec

import (
	"net/netip"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/slipway-project/slipway/internal/sshx"
)

// ServicesMode says where DNS and load balancer run.
type ServicesMode string

// The modes.
const (
	ServicesLocal    ServicesMode = "local"    // on the host of `slipway up`
	ServicesSSH      ServicesMode = "ssh"      // on hosts that slipway logs in to
	ServicesVM       ServicesMode = "vm"       // on a machine that slipway makes
	ServicesExternal ServicesMode = "external" // they are the user's own
)

var servicesModes = []string{string(ServicesLocal), string(ServicesSSH), string(ServicesVM), string(ServicesExternal)}

// BalancerMode says which load balancer serves.
type BalancerMode string

// The modes.
const (
	BalancerAuto     BalancerMode = "auto"     // haproxy where it is found, else the embedded one
	BalancerHAProxy  BalancerMode = "haproxy"  // no other will do
	BalancerEmbedded BalancerMode = "embedded" // in our own process
	BalancerExternal BalancerMode = "external" // the user's own
)

var balancerModes = []string{string(BalancerAuto), string(BalancerHAProxy), string(BalancerEmbedded), string(BalancerExternal)}

// Services says where DNS and load balancer live.
type Services struct {
	Address  netip.Addr
	Range    hcl.Range // of the address
	Mode     ServicesMode
	Hosts    []ServicesHost   // of ServicesSSH
	Machine  *ServicesMachine // of ServicesVM
	DNS      DNS
	Balancer Balancer
}

// A ServicesHost is a host that the services run on, reached over SSH.
type ServicesHost struct {
	Host    string     // name or address
	Port    int        // of sshd
	User    string     //
	Key     string     // path of a private key, "" for those of the person
	HostKey string     // as in known_hosts, "" for what known_hosts says
	Address netip.Addr // that the services have there
	Range   hcl.Range
}

// A Balancer is the load balancer.
type Balancer struct {
	Mode    BalancerMode
	Address netip.Addr // of BalancerExternal
	Range   hcl.Range
}

// Addresses are where DNS is answered and, unless the load balancer is the
// user's, clients are balanced: one, or that of each services host.
func (s Services) Addresses() []netip.Addr {
	if s.Mode != ServicesSSH {
		return []netip.Addr{s.Address}
	}
	var all []netip.Addr
	for _, h := range s.Hosts {
		all = append(all, h.Address)
	}
	return all
}

// API is where clients reach the cluster's API.
func (s Services) API() []netip.Addr {
	if s.Balancer.Address.IsValid() {
		return []netip.Addr{s.Balancer.Address}
	}
	return s.Addresses()
}

// Resolvers are where nodes ask for names: the services, or the user's own
// server.
func (s Services) Resolvers() []netip.Addr {
	if s.DNS.Server.IsValid() {
		return []netip.Addr{s.DNS.Server.Addr()}
	}
	return s.Addresses()
}

type rawServices struct {
	Address  *hcl.Attribute    `hcl:"address,optional"`
	Mode     *hcl.Attribute    `hcl:"mode,optional"`
	DNS      *rawDNS           `hcl:"dns,block"`
	Balancer *rawBalancer      `hcl:"load_balancer,block"`
	SSH      []rawServicesHost `hcl:"ssh,block"`
	VM       *rawServicesVM    `hcl:"vm,block"`
	Range    hcl.Range         `hcl:",def_range"`
}

type rawBalancer struct {
	Mode    *hcl.Attribute `hcl:"mode,optional"`
	Address *hcl.Attribute `hcl:"address,optional"`
	Range   hcl.Range      `hcl:",def_range"`
}

type rawServicesHost struct {
	Host    *hcl.Attribute `hcl:"host,optional"`
	Port    *hcl.Attribute `hcl:"port,optional"`
	User    *hcl.Attribute `hcl:"user,optional"`
	Key     *hcl.Attribute `hcl:"key,optional"`
	HostKey *hcl.Attribute `hcl:"host_key,optional"`
	Address *hcl.Attribute `hcl:"address,optional"`
	Range   hcl.Range      `hcl:",def_range"`
}

func (l *loader) services(c *cluster) {
	raw := c.raw.Services
	if raw == nil {
		l.absentf(c.Range, "services", "Missing services block", "DNS and load balancer need an address. Write services { address = \"192.0.2.210\" } in this cluster.")
		return
	}
	s := &c.Services
	s.Mode = ServicesMode(l.choice(raw.Mode, string(ServicesLocal), servicesModes))
	l.dns(c, raw.DNS)
	l.balancer(c, raw.Balancer)
	if !l.missing(raw.Address, raw.Range, "address", `"192.0.2.210"`) {
		s.Range = raw.Address.Expr.Range()
		s.Address, _ = l.address(raw.Address, `"192.0.2.210"`)
	}
	l.servicesHosts(c, raw)
	l.servicesMachine(c, raw)
	l.externalServices(c, raw)
}

// balancer reads the load_balancer block, which may be missing. With services
// of mode external the balancer is the one at their address.
func (l *loader) balancer(c *cluster, raw *rawBalancer) {
	b := &c.Services.Balancer
	b.Mode = BalancerAuto
	if c.Services.Mode == ServicesExternal {
		b.Mode = BalancerExternal
	}
	if raw == nil {
		return
	}
	b.Range = raw.Range
	b.Mode = BalancerMode(l.choice(raw.Mode, string(b.Mode), balancerModes))
	switch {
	case b.Mode != BalancerExternal:
		l.useless("the load balancer is slipway's, at the address of the services", raw.Address)
	case c.Services.Mode == ServicesExternal:
		l.useless("the load balancer is the one at the address of the services", raw.Address)
	case !l.missing(raw.Address, raw.Range, "address", `"192.0.2.220"`):
		b.Address, _ = l.address(raw.Address, `"192.0.2.220"`)
	}
}

// servicesHosts reads the ssh blocks.
func (l *loader) servicesHosts(c *cluster, raw *rawServices) {
	s := &c.Services
	if s.Mode != ServicesSSH {
		for _, h := range raw.SSH {
			l.unusedHost(s.Mode, raw.Mode, h.Range)
		}
		return
	}
	if len(raw.SSH) == 0 {
		l.absentf(raw.Range, "ssh", "Missing ssh block", "Services of mode \"ssh\" need a host. Write ssh { host = \"services.lab.test\" } in this block.")
	}
	for i := range raw.SSH {
		h := l.servicesHost(&raw.SSH[i], s.Address)
		for _, other := range s.Hosts {
			if h.Address.IsValid() && other.Address == h.Address {
				l.errorf(h.Range, "Duplicate address", "The services on %s and on %s have the same address %s. Write address = ... in one of the blocks.", other.Host, h.Host, h.Address)
			}
		}
		s.Hosts = append(s.Hosts, h)
	}
}

// unusedHost tells of an ssh block that the mode makes no use of, unless the
// mode is an override's, which says otherwise for once.
func (l *loader) unusedHost(mode ServicesMode, written *hcl.Attribute, at hcl.Range) {
	switch {
	case written != nil && written.Range.Filename != at.Filename:
	case mode == ServicesVM:
		l.errorf(at, "Which host?", "Services of mode \"vm\" run on a machine that slipway makes, and on no other. Remove this block, or write mode = \"ssh\".")
	default:
		l.warnf(at, "Unused block", "The mode of the services is %q: nothing is done on this host. Write mode = \"ssh\", or remove the block.", mode)
	}
}

func (l *loader) servicesHost(raw *rawServicesHost, address netip.Addr) ServicesHost {
	h := ServicesHost{Port: 22, User: "root", Address: address, Range: raw.Range}
	if !l.missing(raw.Host, raw.Range, "host", `"services.lab.test"`) {
		h.Host, _ = l.text(raw.Host, `"services.lab.test"`)
		if strings.ContainsAny(h.Host, " /@:") || strings.HasPrefix(h.Host, "-") {
			l.errorf(raw.Host.Expr.Range(), "Invalid host", "%q is not the name or the address of a host. The user has an argument of its own, the port too.", h.Host)
		}
	}
	if port, ok := l.integer(raw.Port, 1, 65535, "22"); ok {
		h.Port = port
	}
	if user, ok := l.text(raw.User, `"root"`); ok {
		h.User = user
		if !userName.MatchString(user) {
			l.errorf(raw.User.Expr.Range(), "Invalid user", "%q is not the name of a user. Write user = \"root\", or one that may use sudo without a password.", user)
		}
	}
	if key, ok := l.text(raw.Key, `"~/.ssh/id_ed25519"`); ok {
		h.Key = l.locate(key, l.beside(raw.Key))
	}
	l.hostKey(&h, raw.HostKey)
	if a, ok := l.address(raw.Address, `"192.0.2.211"`); ok {
		h.Address = a
	}
	return h
}

func (l *loader) hostKey(h *ServicesHost, a *hcl.Attribute) {
	line, ok := l.text(a, `"ssh-ed25519 AAAA..."`)
	if !ok {
		return
	}
	if _, err := sshx.Pinned(line); err != nil {
		l.errorf(a.Expr.Range(), "Invalid host key", "This is not the public key of a host. Write a line of /etc/ssh/ssh_host_*.pub there, such as host_key = \"ssh-ed25519 AAAA...\".")
	}
	h.HostKey = line
}

// externalServices wants the parts of services that are all the user's to be
// the user's.
func (l *loader) externalServices(c *cluster, raw *rawServices) {
	s := c.Services
	if s.Mode != ServicesExternal {
		if s.DNS.Mode != DNSEmbedded && s.Balancer.Mode == BalancerExternal {
			l.errorf(raw.Range, "Nothing to serve", "DNS and load balancer are both yours. Write mode = \"external\", with the address of your load balancer.")
		}
		return
	}
	if s.DNS.Mode == DNSEmbedded {
		at := raw.Range
		if raw.DNS != nil {
			at = raw.DNS.Range
		}
		l.errorf(at, "Whose DNS?", "With services of mode \"external\" slipway answers no names. Write dns { mode = \"external\" server = \"192.0.2.53\" } with your server, on lines of their own, or mode = \"rfc2136\" to have it filled.")
	}
	if s.Balancer.Mode != BalancerExternal {
		l.errorf(s.Balancer.Range, "Whose load balancer?", "With services of mode \"external\" slipway balances nothing. Remove the mode of this block; `slipway lb render` prints a configuration for yours.")
	}
}
