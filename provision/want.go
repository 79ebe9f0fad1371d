package provision

import (
	"net/netip"
	"slices"

	"github.com/slipway-project/slipway/loadbalancer"
	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/spec"
)

// wantMachine is what node n asks of the provider.
func (p *Project) wantMachine(n spec.Node, mark provider.Mark) provider.Machine {
	net := n.Network
	return provider.Machine{
		Node: n.Name, Name: n.Full, Mark: mark, UUID: n.UUID,
		NICs: []provider.NIC{{MAC: n.MAC, Bridge: net.Bridge, VLAN: net.VLAN, MTU: net.MTU}},
		CPUs: n.CPUs, Memory: n.Memory, Disk: n.Disk, Spread: n.Spread,
		Tags: []string{"slipway", p.cluster.Name, string(n.Role)},
	}
}

func (p *Project) wantMachines(mark provider.Mark) []provider.Machine {
	var want []provider.Machine
	for _, n := range p.cluster.Placed() {
		want = append(want, p.wantMachine(n, mark))
	}
	return want
}

// wantCluster is what the installer must know.
func (p *Project) wantCluster(mark provider.Mark, keys []string) installer.Cluster {
	c := p.cluster
	want := installer.Cluster{
		Name: c.Name, Domain: c.Domain, Release: c.Release, Mark: mark,
		PullSecret: c.PullSecret, SSHKeys: append(keys, c.SSH.AuthorizedKeys...),
		DNS: c.Services.Resolvers(), Networks: networks(c),
	}
	for _, n := range c.Nodes {
		want.Hosts = append(want.Hosts, p.wantHost(n))
	}
	return want
}

// networks are those of the nodes, each once.
func networks(c spec.Cluster) []netip.Prefix {
	var all []netip.Prefix
	for _, n := range c.Nodes {
		if cidr := n.Network.CIDR.Masked(); !slices.Contains(all, cidr) {
			all = append(all, cidr)
		}
	}
	return all
}

func (p *Project) wantHost(n spec.Node) installer.Host {
	net := n.Network
	gateway := net.Gateway
	if n.DHCP() {
		gateway = netip.Addr{} // DHCP announces one
	}
	return installer.Host{
		ID: n.UUID, Node: n.Name, Hostname: n.Full, Role: installer.Role(n.Role),
		CPUs: n.CPUs, Memory: n.Memory, Disk: n.Disk,
		NICs: []installer.HostNIC{{
			MAC: n.MAC.String(), Address: netip.PrefixFrom(n.Address, net.CIDR.Bits()),
			Gateway: gateway, MTU: net.MTU,
		}},
	}
}

// wantNodes is what the join check compares the cluster with. By DHCP a node
// may have any address.
func (p *Project) wantNodes() []kube.Planned {
	want := make([]kube.Planned, len(p.cluster.Nodes))
	for i, n := range p.cluster.Nodes {
		want[i] = kube.Planned{Name: n.Full, ControlPlane: n.Role == spec.ControlPlane, Address: n.Address}
	}
	return want
}

// wantServices is the services document at the given serial, as it is served
// at the first address.
func (p *Project) wantServices(serial uint64) services.Document {
	return p.wantServicesAt(serial, p.cluster.Services.Addresses()[0])
}

// wantServicesAt is the document for the services at one of their addresses.
func (p *Project) wantServicesAt(serial uint64, at netip.Addr) services.Document {
	s := p.cluster.Services
	doc := services.Build(p.servicesView(serial, at))
	if s.DNS.Server.IsValid() { // somebody else answers: serve must not
		doc.DNS.Listen, doc.DNS.Forward = nil, nil
	}
	if s.Balancer.Mode == spec.BalancerExternal { // and balances
		doc.Balancer = loadbalancer.Config{Mode: loadbalancer.ModeEmbedded}
	}
	return doc
}

// Balancers are what the cluster needs of a load balancer at each of the
// addresses that its API has, whoever serves there.
func (p *Project) Balancers() (all []loadbalancer.Config) {
	for _, at := range p.cluster.Services.API() {
		all = append(all, services.Build(p.servicesView(1, at)).Balancer)
	}
	return all
}

func (p *Project) servicesView(serial uint64, at netip.Addr) services.View {
	c := p.cluster
	view := services.View{Name: c.Name, Domain: c.Domain, Services: at, API: c.Services.API(),
		Network: c.Network.CIDR, Upstream: c.Network.Upstream, Serial: serial}
	if mode := c.Services.Balancer.Mode; mode != spec.BalancerExternal {
		view.Balancer = loadbalancer.Mode(mode)
	}
	for _, other := range networks(c) {
		if other != c.Network.CIDR.Masked() {
			view.Others = append(view.Others, other)
		}
	}
	for _, n := range p.Nodes() {
		view.Nodes = append(view.Nodes, services.Node{Name: n.Name, Full: n.Full,
			ControlPlane: n.Role == spec.ControlPlane, Address: n.Address})
	}
	return view
}

// places lists the hypervisor nodes that machines of nodes were allotted to.
func places(ms map[string]provider.Machine) []string {
	var all []string
	for node, m := range ms {
		if node != spec.ServicesName {
			all = append(all, m.Place)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
