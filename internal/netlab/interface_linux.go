package netlab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// An Interface is one of the machine that this process runs on, as a [Port] is
// one of a machine in a Lab. It is safe for concurrent use.
type Interface struct {
	*Namespace
	link netlink.Link
}

// Own returns the interface of that name in the process's own network
// namespace. Close it.
func Own(name string) (*Interface, error) {
	ns, err := ownNamespace()
	if err != nil {
		return nil, err
	}
	link, err := ns.net.LinkByName(name)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("interface %s: %w", name, err), ns.Close())
	}
	return &Interface{ns, link}, nil
}

// Up switches the interface on.
func (i *Interface) Up() error { return wrap("interface up", i.net.LinkSetUp(i.link)) }

// Down switches it off.
func (i *Interface) Down() error { return wrap("interface down", i.net.LinkSetDown(i.link)) }

// Configure is [Port.Configure].
func (i *Interface) Configure(addrs []netip.Prefix, gateway netip.Addr, mtu int) error {
	var err error
	if mtu > 0 {
		err = i.net.LinkSetMTU(i.link, mtu)
	}
	return wrap("configure interface", errors.Join(err, i.configure(i.link, addrs, gateway)))
}

// Broadcast is [Port.Broadcast].
func (i *Interface) Broadcast(port int) (net.PacketConn, error) { return i.broadcast(i.link, port) }

func (n *Namespace) broadcast(link netlink.Link, port int) (c net.PacketConn, err error) {
	err = n.Do(func() error {
		c, err = nclient4.NewRawUDPConn(link.Attrs().Name, port)
		return err
	})
	return c, wrap(fmt.Sprintf("broadcast socket for port %d", port), err)
}

// configure gives link addresses and a gateway in place of those it has.
func (n *Namespace) configure(link netlink.Link, addrs []netip.Prefix, gateway netip.Addr) error {
	return errors.Join(n.clear(link), n.net.LinkSetUp(link), n.address(link, addrs), n.route(link, gateway))
}

// clear removes routes and addresses of link, but for the link-local ones.
func (n *Namespace) clear(link netlink.Link) error {
	routes, err := n.net.RouteList(link, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Gw != nil {
			err = errors.Join(err, n.net.RouteDel(&r))
		}
	}
	addrs, listed := n.net.AddrList(link, netlink.FAMILY_ALL)
	for _, a := range addrs {
		if !a.IP.IsLinkLocalUnicast() {
			err = errors.Join(err, n.net.AddrDel(link, &a))
		}
	}
	return errors.Join(err, listed)
}

func (n *Namespace) address(link netlink.Link, addrs []netip.Prefix) error {
	var errs []error
	for _, a := range addrs {
		addr := &netlink.Addr{IPNet: ipNet(a)}
		if a.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD // usable at once, as IPv4 is
		}
		errs = append(errs, wrap("add address "+a.String(), n.net.AddrAdd(link, addr)))
	}
	return errors.Join(errs...)
}

func (n *Namespace) route(link netlink.Link, gateway netip.Addr) error {
	if !gateway.IsValid() {
		return nil
	}
	all := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	if gateway.Is4() {
		all = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	err := n.net.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(all), Gw: gateway.AsSlice()})
	return wrap("default route via "+gateway.String(), err)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
