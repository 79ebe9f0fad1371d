package proxmox

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A pveBridge is a line of GET /nodes/{node}/network.
type pveBridge struct {
	Name text   `json:"iface"`
	MTU  number `json:"mtu"` // 0: not set, which means 1500
}

func (p *Provider) bridges(ctx context.Context, node, kind string) ([]pveBridge, error) {
	var all []pveBridge
	err := p.api.get(ctx, "/nodes/"+node+"/network?type="+kind, &all)
	return all, err
}

// A link is what a network device is plugged into.
type link struct {
	bridge string
	vlan   int // 0: none
	mtu    int // 0: the bridge's
}

// wanted lists the links of all wanted machines, sorted, each once.
func (s *survey) wanted() []link {
	var links []link
	for _, m := range s.want.Machines {
		for _, nic := range m.NICs {
			links = append(links, link{bridgeOf(nic), nic.VLAN, nic.MTU})
		}
	}
	slices.SortFunc(links, func(a, b link) int {
		return cmp.Or(cmp.Compare(a.bridge, b.bridge), cmp.Compare(a.vlan, b.vlan), cmp.Compare(a.mtu, b.mtu))
	})
	return slices.Compact(links)
}

// object is what SDN.Use is needed on: that of a bridge holds for its VLANs.
func (l link) object() string {
	path := "/sdn/zones/localnetwork/" + l.bridge
	if l.vlan != 0 {
		path += "/" + strconv.Itoa(l.vlan)
	}
	return path
}

// checkBridges looks for the bridge of each link on each node. One that the
// token may not use is not listed either: which it is cannot be known.
func (p *Provider) checkBridges(ctx context.Context, s *survey) {
	for _, l := range s.wanted() {
		var missing []string
		for _, node := range s.nodes {
			if !p.checkLink(ctx, s, string(node.Name), l) {
				missing = append(missing, string(node.Name))
			}
		}
		if len(missing) > 0 {
			p.missLink(s, l, missing)
		}
	}
}

// checkLink looks among virtual networks, which not every version counts as
// bridges, before it misses one.
func (p *Provider) checkLink(ctx context.Context, s *survey, node string, l link) bool {
	named := func(b pveBridge) bool { return string(b.Name) == l.bridge }
	i := slices.IndexFunc(s.bridges[node], named)
	if i < 0 {
		vnets, err := p.bridges(ctx, node, "vnet")
		return err == nil && slices.ContainsFunc(vnets, named)
	}
	if mtu := cmp.Or(int(s.bridges[node][i].MTU), 1500); l.mtu > mtu {
		s.fatal(fmt.Sprintf("give the bridge the MTU in System, Network of the node, or write mtu = %d", mtu),
			"machines ask for an MTU of %d, and that of bridge %q on node %q is %d", l.mtu, l.bridge, node, mtu)
	}
	return true
}

func (p *Provider) missLink(s *survey, l link, missing []string) {
	list := bridgeList(s.bridges[missing[0]])
	where := strings.Join(missing, ", ")
	if s.rights.has(l.object(), "SDN.Use") {
		s.fatal(fmt.Sprintf("there are: %s; set bridge in the network block", list), "bridge %q does not exist on %s", l.bridge, where)
		return
	}
	n := networkNeed(l.object())
	s.fatal(n.grant(s.token)+"\n# or set bridge in the network block to one of: "+list+
		"\n# of a VNet of SDN the path is /sdn/zones/ZONE/"+l.bridge,
		"the token lacks SDN.Use on %s, or bridge %q does not exist on %s", n.path, l.bridge, where)
}

func networkNeed(path string) need {
	return need{path: path, role: "SlipwayNetwork", privileges: []string{"SDN.Use"}}
}

func bridgeList(bridges []pveBridge) string {
	names := make([]string, len(bridges))
	for i, b := range bridges {
		names[i] = string(b.Name)
	}
	return strings.Join(names, ", ")
}

// localLinks leaves out virtual networks, whose zone only they know.
func (s *survey) localLinks() []string {
	var objects []string
	for _, l := range s.wanted() {
		for _, there := range s.bridges {
			if slices.ContainsFunc(there, func(b pveBridge) bool { return string(b.Name) == l.bridge }) {
				objects = append(objects, l.object())
				break
			}
		}
	}
	slices.Sort(objects)
	return slices.Compact(objects)
}
