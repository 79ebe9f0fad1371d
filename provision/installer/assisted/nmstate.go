package assisted

import (
	"fmt"
	"net/netip"

	"go.yaml.in/yaml/v3"

	"github.com/slipway-project/slipway/provision/installer"
)

// The part of nmstate (https://nmstate.io) that a host needs.

type nmstate struct {
	Interfaces []nmInterface `yaml:"interfaces"`
	DNS        nmDNS         `yaml:"dns-resolver,omitempty"`
	Routes     nmRoutes      `yaml:"routes,omitempty"`
}

type nmInterface struct {
	Name  string `yaml:"name"`
	Type  string `yaml:"type"`
	State string `yaml:"state"`
	MTU   int    `yaml:"mtu,omitempty"`
	IPv4  nmIP   `yaml:"ipv4"`
	IPv6  nmIP   `yaml:"ipv6"`
}

type nmIP struct {
	Enabled bool        `yaml:"enabled"`
	DHCP    *bool       `yaml:"dhcp,omitempty"`
	AutoDNS *bool       `yaml:"auto-dns,omitempty"`
	Address []nmAddress `yaml:"address,omitempty"`
}

type nmAddress struct {
	IP     string `yaml:"ip"`
	Prefix int    `yaml:"prefix-length"`
}

type nmDNS struct {
	Config struct {
		Server []string `yaml:"server"`
	} `yaml:"config"`
}

type nmRoutes struct {
	Config []nmRoute `yaml:"config,omitempty"`
}

type nmRoute struct {
	Destination string `yaml:"destination"`
	NextHop     string `yaml:"next-hop-address"`
	Interface   string `yaml:"next-hop-interface"`
}

// staticNetworks gives each host its nmstate document. Interfaces are named
// nic0, nic1, … there; the image renames them by MAC address.
func staticNetworks(c installer.Cluster) ([]hostNetwork, error) {
	var list []hostNetwork
	for _, h := range c.Hosts {
		text, err := yaml.Marshal(hostState(h, c.DNS))
		if err != nil {
			return nil, fmt.Errorf("network configuration of %s: %w", h.Node, err)
		}
		network := hostNetwork{NetworkYAML: string(text)}
		for i, n := range h.NICs {
			network.MACs = append(network.MACs, macInterface{n.MAC, nicName(i)})
		}
		list = append(list, network)
	}
	return list, nil
}

func nicName(i int) string { return fmt.Sprintf("nic%d", i) }

func hostState(h installer.Host, resolvers []netip.Addr) nmstate {
	var state nmstate
	for _, r := range resolvers {
		state.DNS.Config.Server = append(state.DNS.Config.Server, r.String())
	}
	for i, n := range h.NICs {
		state.Interfaces = append(state.Interfaces, interfaceState(nicName(i), n))
		if n.Gateway.IsValid() {
			state.Routes.Config = append(state.Routes.Config, defaultRoute(nicName(i), n.Gateway))
		}
	}
	return state
}

// interfaceState is static with an address, else DHCP without the resolvers
// that DHCP announces: a home router never announces ours.
func interfaceState(name string, n installer.HostNIC) nmInterface {
	state := nmInterface{Name: name, Type: "ethernet", State: "up", MTU: n.MTU}
	yes, no := true, false
	switch {
	case !n.Address.IsValid():
		state.IPv4 = nmIP{Enabled: true, DHCP: &yes, AutoDNS: &no}
	case n.Address.Addr().Is4():
		state.IPv4 = static(n.Address)
	default:
		state.IPv6 = static(n.Address)
	}
	return state
}

func static(p netip.Prefix) nmIP {
	no := false
	return nmIP{Enabled: true, DHCP: &no, Address: []nmAddress{{p.Addr().String(), p.Bits()}}}
}

func defaultRoute(name string, gateway netip.Addr) nmRoute {
	destination := "0.0.0.0/0"
	if gateway.Is6() {
		destination = "::/0"
	}
	return nmRoute{destination, gateway.String(), name}
}
