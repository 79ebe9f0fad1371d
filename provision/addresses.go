package provision

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/spec"
	"github.com/slipway-project/slipway/provision/state"
)

// recorded are the addresses by DHCP that the state knows, by node.
func (p *Project) recorded() map[string]netip.Addr {
	doc, err := p.store.Read(context.Background(), p.cluster.FullName())
	if err != nil {
		return nil // whoever needs the state reads it, and says so
	}
	return doc.Learned
}

// located is n with its address, where DHCP has given one that is known.
func (p *Project) located(n spec.Node) spec.Node {
	if n.DHCP() {
		n.Address = p.learned()[n.Name]
	}
	return n
}

// Nodes are the planned ones, with the addresses by DHCP that are known.
func (p *Project) Nodes() []spec.Node {
	nodes := make([]spec.Node, len(p.cluster.Nodes))
	for i, n := range p.cluster.Nodes {
		nodes[i] = p.located(n)
	}
	return nodes
}

// addressOf is n's address for people.
func addressOf(n spec.Node) string {
	if n.DHCP() {
		return "dhcp"
	}
	return n.Address.String()
}

// learnFromHosts learns what the hosts told the installer.
func (r *run) learnFromHosts(ctx context.Context, hosts []installer.HostProgress) error {
	seen := map[string]netip.Addr{}
	for _, h := range hosts {
		seen[h.Node] = h.Address
	}
	return r.learn(ctx, seen)
}

// learnFromNodes learns what the nodes told the cluster: an installed system
// may have been given another address than the live one.
func (r *run) learnFromNodes(ctx context.Context, nodes []kube.Node) error {
	seen := map[string]netip.Addr{}
	for _, n := range r.Nodes() {
		i := slices.IndexFunc(nodes, func(k kube.Node) bool { return k.Name == n.Full })
		if i >= 0 && len(nodes[i].Addresses) > 0 && !slices.Contains(nodes[i].Addresses, n.Address) {
			seen[n.Name] = nodes[i].Addresses[0]
		}
	}
	return r.learn(ctx, seen)
}

// learn records the addresses that nodes got by DHCP, and has DNS and load
// balancer follow.
func (r *run) learn(ctx context.Context, seen map[string]netip.Addr) error {
	changed := false
	for _, n := range r.cluster.Nodes {
		at := seen[n.Name]
		if !n.DHCP() || !at.IsValid() || at == r.learned()[n.Name] {
			continue
		}
		if err := r.journal.Append(state.Record{Kind: state.Learned, Node: n.Name, Address: at}); err != nil {
			return err
		}
		changed = true
		r.emit(event.Event{Kind: event.Note, Node: n.Name, Message: fmt.Sprintf("%s got the address %s by DHCP", n.Name, at)})
		r.doubt(n, at)
	}
	if !changed {
		return nil
	}
	return r.followAddresses(ctx)
}

// doubt warns of an address that cannot be meant.
func (r *run) doubt(n spec.Node, a netip.Addr) {
	if !n.Network.CIDR.Contains(a) {
		r.once(fmt.Sprintf("%s got the address %s by DHCP, which is outside of network %q (%s): is bridge %s the right one?",
			n.Name, a, n.Network.Label, n.Network.CIDR, n.Network.Bridge))
	}
	if slices.Contains(r.cluster.Services.Addresses(), a) {
		r.once(fmt.Sprintf("%s got the address %s by DHCP, which is that of the services: take it out of the DHCP server's range", n.Name, a))
	}
	for _, other := range r.Nodes() {
		if other.Name != n.Name && other.Address == a {
			r.once(fmt.Sprintf("%s and %s have the same address %s: a static address lies within the DHCP server's range", n.Name, other.Name, a))
		}
	}
}

func (r *run) followAddresses(ctx context.Context) error {
	doc, err := r.writeServices()
	if err != nil {
		return err
	}
	if err := r.haveServed(ctx, doc.Serial); err != nil {
		return err
	}
	if r.updatesDNS() {
		return r.pushNames(ctx)
	}
	return nil
}
