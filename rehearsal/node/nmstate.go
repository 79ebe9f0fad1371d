package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A netConfig is what an nmstate document makes of a host's network.
type netConfig struct {
	interfaces map[string]netInterface // by their name in the document
	servers    []netip.Addr            // of the resolver
	search     []string
}

type netInterface struct {
	addrs   []netip.Prefix
	gateway netip.Addr // of a default route through it
	mtu     int
	dhcp    *dhcpConfig // nil: none
}

// The nmstate schema (nmstate.io), as far as an ethernet interface of an
// installation has it.
type nmstateDoc struct {
	Interfaces []nmInterface `yaml:"interfaces"`
	Routes     struct {
		Config []nmRoute `yaml:"config"`
	} `yaml:"routes"`
	DNS struct {
		Config struct {
			Server []string `yaml:"server"`
			Search []string `yaml:"search"`
		} `yaml:"config"`
	} `yaml:"dns-resolver"`
}

type nmInterface struct {
	Name       string `yaml:"name"`
	Type       string `yaml:"type"`
	State      string `yaml:"state"`
	MTU        int    `yaml:"mtu"`
	MAC        string `yaml:"mac-address"`
	Identifier string `yaml:"identifier"`
	IPv4       nmIP   `yaml:"ipv4"`
	IPv6       nmIP   `yaml:"ipv6"`
}

type nmIP struct {
	Enabled     bool  `yaml:"enabled"`
	DHCP        bool  `yaml:"dhcp"`
	Autoconf    bool  `yaml:"autoconf"`
	AutoDNS     *bool `yaml:"auto-dns"`
	AutoGateway *bool `yaml:"auto-gateway"`
	AutoRoutes  *bool `yaml:"auto-routes"`
	Address     []struct {
		IP     string `yaml:"ip"`
		Prefix int    `yaml:"prefix-length"`
	} `yaml:"address"`
}

type nmRoute struct {
	Destination string `yaml:"destination"`
	NextHop     string `yaml:"next-hop-address"`
	Interface   string `yaml:"next-hop-interface"`
	Metric      *int   `yaml:"metric"`
	Table       int    `yaml:"table-id"`
}

// parseNMState reads one nmstate document strictly: what nmstate or the kernel
// would refuse is an error, and so is what these hosts cannot do.
func parseNMState(text string) (netConfig, error) {
	var doc nmstateDoc
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return netConfig{}, fmt.Errorf("nmstate: %w", err)
	}
	config := netConfig{interfaces: map[string]netInterface{}, search: doc.DNS.Config.Search}
	for _, i := range doc.Interfaces {
		if err := config.addInterface(i); err != nil {
			return netConfig{}, fmt.Errorf("nmstate: interface %q: %w", i.Name, err)
		}
	}
	for _, r := range doc.Routes.Config {
		if err := config.addRoute(r); err != nil {
			return netConfig{}, fmt.Errorf("nmstate: route to %q: %w", r.Destination, err)
		}
	}
	for _, s := range doc.DNS.Config.Server {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return netConfig{}, fmt.Errorf("nmstate: DNS server: %w", err)
		}
		config.servers = append(config.servers, addr)
	}
	return config, nil
}

// maxInterfaceName is IFNAMSIZ-1 of the kernel.
const maxInterfaceName = 15

func (c *netConfig) addInterface(i nmInterface) error {
	_, twice := c.interfaces[i.Name]
	switch {
	case i.Name == "" || len(i.Name) > maxInterfaceName || strings.ContainsAny(i.Name, "/ \t\n"):
		return errors.New("not a name the kernel takes")
	case twice:
		return errors.New("described twice")
	case i.Type != "ethernet":
		return fmt.Errorf("type %q: this machine has ethernet only", i.Type)
	case i.MTU != 0 && (i.MTU < 576 || i.MTU > 9216):
		return fmt.Errorf("MTU %d is outside 576-9216", i.MTU)
	case i.State != "" && i.State != "up" && i.State != "down" && i.State != "absent":
		return fmt.Errorf("state %q", i.State)
	}
	n := netInterface{mtu: i.MTU}
	if i.State == "" || i.State == "up" {
		n.dhcp = i.IPv4.dhcp()
		if err := errors.Join(n.addAddrs(i.IPv4, netip.Addr.Is4), n.addAddrs(i.IPv6, netip.Addr.Is6)); err != nil {
			return err
		}
	}
	c.interfaces[i.Name] = n
	return nil
}

// dhcp is what nmstate takes of a lease when it is not told.
func (ip nmIP) dhcp() *dhcpConfig {
	if !ip.Enabled || !ip.DHCP {
		return nil
	}
	unless := func(b *bool) bool { return b == nil || *b }
	return &dhcpConfig{dns: unless(ip.AutoDNS), gateway: unless(ip.AutoGateway) && unless(ip.AutoRoutes)}
}

func (n *netInterface) addAddrs(ip nmIP, family func(netip.Addr) bool) error {
	for _, a := range ip.Address {
		addr, err := netip.ParseAddr(a.IP)
		if err != nil {
			return err
		}
		prefix := netip.PrefixFrom(addr, a.Prefix)
		if !prefix.IsValid() || a.Prefix == 0 || !family(addr) || addr.IsMulticast() || addr.IsUnspecified() || addr.Is4In6() {
			return fmt.Errorf("address %s/%d is not one an interface can have", a.IP, a.Prefix)
		}
		if ip.Enabled && !ip.DHCP {
			n.addrs = append(n.addrs, prefix)
		}
	}
	return nil
}

func (c *netConfig) addRoute(r nmRoute) error {
	via, err := netip.ParseAddr(r.NextHop)
	if err != nil {
		return fmt.Errorf("next hop: %w", err)
	}
	destination, err := netip.ParsePrefix(r.Destination)
	if err != nil {
		return err
	}
	i, known := c.interfaces[r.Interface]
	switch {
	case !known:
		return fmt.Errorf("interface %q is not described", r.Interface)
	case destination.Bits() != 0:
		return errors.New("simulated hosts have a default route only")
	case destination.Addr().Is4() != via.Is4():
		return fmt.Errorf("next hop %s is of another address family", via)
	case !i.onLink(via):
		return fmt.Errorf("next hop %s has no route: it is in no network of %s", via, r.Interface)
	}
	i.gateway = via
	c.interfaces[r.Interface] = i
	return nil
}

func (n netInterface) onLink(a netip.Addr) bool {
	for _, p := range n.addrs {
		if p.Contains(a) {
			return true
		}
	}
	return n.dhcp != nil || a.IsLinkLocalUnicast()
}
