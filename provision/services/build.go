package services

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-project/slipway/dnsserver"
	"github.com/slipway-project/slipway/loadbalancer"
)

// A View is what the services need to know of a cluster.
type View struct {
	Name     string         // mycluster
	Domain   string         // lab.test
	Services netip.Addr     // where DNS and load balancer listen
	API      []netip.Addr   // where names of the API and of applications point to; none: to Services
	Network  netip.Prefix   // the machine network
	Others   []netip.Prefix // further machine networks
	Nodes    []Node
	Upstream []netip.Addr // DNS servers for foreign names, may be empty
	Serial   uint64
	Balancer loadbalancer.Mode // which one; empty: ModeAuto
}

// A Node is a node of a [View].
type Node struct {
	Name         string // control-0
	Full         string // control-0.mycluster.lab.test
	ControlPlane bool
	Address      netip.Addr // zero: not known yet, so without names and not behind the balancer
}

const (
	ttl         = 60 // seconds: names of a cluster that comes and goes
	negativeTTL = 10 // seconds: a name asked for too early must not stay unknown
	dnsPort     = 53
)

// Build returns the Document of the cluster. It is pure: equal views give
// equal documents.
func Build(v View) Document {
	return Document{
		Version:  DocumentVersion,
		Serial:   v.Serial,
		Owner:    v.full(),
		DNS:      v.dns(),
		Balancer: v.balancer(),
	}
}

// networks are all machine networks.
func (v View) networks() []netip.Prefix {
	all := []netip.Prefix{v.Network.Masked()}
	for _, other := range v.Others {
		all = append(all, other.Masked())
	}
	return all
}

// known are the nodes whose addresses are.
func known(nodes []Node) []Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n Node) bool { return !n.Address.IsValid() })
}

func (v View) full() string { return v.Name + "." + v.Domain }

// zone is the name of the cluster's zone.
func (v View) zone() string { return v.full() + "." }

func (v View) dns() dnsserver.Config {
	c := dnsserver.Config{
		Listen: []netip.AddrPort{netip.AddrPortFrom(v.Services, dnsPort)},
		Zones:  append([]dnsserver.Zone{v.forwardZone()}, v.reverseZones()...),
	}
	if len(v.Upstream) > 0 {
		c.Forward = &dnsserver.Forward{Allow: v.networks()}
		for _, u := range v.Upstream {
			c.Forward.Upstreams = append(c.Forward.Upstreams, netip.AddrPortFrom(u, dnsPort))
		}
	}
	return c
}

// newZone is a zone without records; its server is the host that api names.
func (v View) newZone(name string) dnsserver.Zone {
	return dnsserver.Zone{Name: name, Serial: uint32(v.Serial), NS: "api." + v.zone(), TTL: ttl, MinTTL: negativeTTL}
}

// forwardZone has the names that OpenShift asks for with user-managed
// networking, and nothing besides: the installer wants NXDOMAIN for others.
func (v View) forwardZone() dnsserver.Zone {
	z := v.newZone(v.zone())
	for _, name := range []string{"api.", "api-int.", "*.apps."} {
		for _, a := range v.api() {
			z.Records = append(z.Records, address(name+v.zone(), a))
		}
	}
	for _, n := range known(v.Nodes) {
		z.Records = append(z.Records, address(n.Full+".", n.Address))
	}
	return z
}

func (v View) api() []netip.Addr {
	if len(v.API) == 0 {
		return []netip.Addr{v.Services}
	}
	return v.API
}

func address(name string, a netip.Addr) dnsserver.Record {
	kind := "AAAA"
	if a.Is4() {
		kind = "A"
	}
	return dnsserver.Record{Name: name, Type: kind, Data: a.String()}
}

// reverseZones has PTRs for what the API's names point to and for each node, in zones as
// wide as they can be without holding names of other networks.
func (v View) reverseZones() []dnsserver.Zone {
	var zones []dnsserver.Zone
	add := func(a netip.Addr, target string) {
		name := reverseName(a, v.reverseBits(a))
		i := slices.IndexFunc(zones, func(z dnsserver.Zone) bool { return z.Name == name })
		if i < 0 {
			i, zones = len(zones), append(zones, v.newZone(name))
		}
		zones[i].Records = append(zones[i].Records, dnsserver.Record{Name: reverseName(a, a.BitLen()), Type: "PTR", Data: target})
	}
	for _, a := range v.api() {
		add(a, "api."+v.zone())
		add(a, "api-int."+v.zone())
	}
	for _, n := range known(v.Nodes) {
		add(n.Address, n.Full+".")
	}
	return zones
}

// reverseBits returns how many bits of a name the reverse zone a belongs to:
// those of its machine network, rounded up to where in-addr.arpa (octets, at
// least three) and ip6.arpa (nibbles) can be cut. An address outside of all
// networks is a zone by itself.
func (v View) reverseBits(a netip.Addr) int {
	networks := v.networks()
	i := slices.IndexFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) })
	if i < 0 {
		return a.BitLen()
	}
	if a.Is4() {
		return max(24, (networks[i].Bits()+7)/8*8)
	}
	return (networks[i].Bits() + 3) / 4 * 4
}

// reverseName is the name of the first bits of a below in-addr.arpa (RFC 1035
// 3.5) or ip6.arpa (RFC 3596 2.5); bits must be a multiple of 8 or 4.
func reverseName(a netip.Addr, bits int) string {
	labels, suffix := nibbles(a)[:bits/4], "ip6.arpa."
	if a.Is4() {
		labels, suffix = octets(a)[:bits/8], "in-addr.arpa."
	}
	slices.Reverse(labels)
	return strings.Join(append(labels, suffix), ".")
}

func octets(a netip.Addr) []string {
	var out []string
	for _, b := range a.AsSlice() {
		out = append(out, strconv.Itoa(int(b)))
	}
	return out
}

func nibbles(a netip.Addr) []string {
	return strings.Split(fmt.Sprintf("%x", a.AsSlice()), "")
}

func (v View) balancer() loadbalancer.Config {
	control, routers := v.controlPlane(), v.routers()
	frontend := func(name string, port uint16, check loadbalancer.Check, nodes []Node) loadbalancer.Frontend {
		return loadbalancer.Frontend{
			Name: name, Bind: netip.AddrPortFrom(v.Services, port), Check: check, Members: members(nodes, port),
		}
	}
	// The machine config server hands out the pull secret: machines only.
	machine := frontend("machine-config", 22623, loadbalancer.CheckMachine, control)
	machine.Allow = v.networks()
	return loadbalancer.Config{Mode: v.Balancer, Frontends: []loadbalancer.Frontend{
		frontend("api", 6443, loadbalancer.CheckAPI, control),
		machine,
		frontend("ingress-https", 443, loadbalancer.CheckRouter, routers),
		frontend("ingress-http", 80, loadbalancer.CheckRouter, routers),
	}}
}

func members(nodes []Node, port uint16) []loadbalancer.Member {
	var out []loadbalancer.Member
	for _, n := range known(nodes) {
		out = append(out, loadbalancer.Member{Name: n.Name, Address: netip.AddrPortFrom(n.Address, port)})
	}
	return out
}

func (v View) controlPlane() []Node { return v.having(true) }

// routers are the nodes that ingress runs on: the workers; with fewer than two
// the control plane is schedulable and runs it as well.
func (v View) routers() []Node {
	workers := v.having(false)
	if len(workers) < 2 {
		return append(v.controlPlane(), workers...)
	}
	return workers
}

func (v View) having(controlPlane bool) []Node {
	var out []Node
	for _, n := range v.Nodes {
		if n.ControlPlane == controlPlane {
			out = append(out, n)
		}
	}
	return out
}
