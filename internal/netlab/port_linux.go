package netlab

import (
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
)

// A Port is a network interface in its Namespace, and the cable from there to
// a segment. It is safe for concurrent use.
type Port struct {
	*Namespace
	lab   *Lab
	iface netlink.Link // in Namespace
	cable netlink.Link // the bridge's end, in the datacentre

	mu     sync.Mutex // one change at a time
	closed bool       // its netlink handles would now act on the process's own namespace
}

func newPort(l *Lab, ns *Namespace, cable, ifname string, mac net.HardwareAddr, bridge netlink.Link) (*Port, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = cable, bridge.Attrs().Index
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerHardwareAddr, veth.PeerNamespace = ifname, mac, netlink.NsFd(ns.fd)
	if err := l.datacentre.net.LinkAdd(veth); err != nil {
		return nil, err
	}
	iface, err := ns.net.LinkByName(ifname)
	if err != nil {
		return nil, errors.Join(err, l.datacentre.net.LinkDel(veth))
	}
	return &Port{Namespace: ns, lab: l, iface: iface, cable: veth}, nil
}

// Up plugs the cable in.
func (p *Port) Up() error { return p.set("cable up", (*netlink.Handle).LinkSetUp) }

// Down pulls the cable: nothing is refused, packets vanish.
func (p *Port) Down() error { return p.set("cable down", (*netlink.Handle).LinkSetDown) }

func (p *Port) set(what string, state func(*netlink.Handle, netlink.Link) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return wrap(what, net.ErrClosed)
	}
	return wrap(what, state(p.lab.datacentre.net, p.cable))
}

// Configure brings the interface up with addrs and, when gateway is valid, a
// default route, in place of what was there. mtu 0 leaves the MTU alone.
func (p *Port) Configure(addrs []netip.Prefix, gateway netip.Addr, mtu int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return wrap("configure interface", net.ErrClosed)
	}
	return wrap("configure interface", errors.Join(p.setMTU(mtu), p.configure(p.iface, addrs, gateway)))
}

// Broadcast opens a socket that sends every UDP packet to all of the segment
// and hears all that come to port, before the interface has an address as
// well: what a DHCP client (RFC 2131 section 4.1) needs.
func (p *Port) Broadcast(port int) (c net.PacketConn, err error) {
	return p.broadcast(p.iface, port)
}

// setMTU sets both ends: a longer packet than the far end takes is lost.
func (p *Port) setMTU(mtu int) error {
	if mtu == 0 {
		return nil
	}
	return errors.Join(p.lab.datacentre.net.LinkSetMTU(p.cable, mtu), p.net.LinkSetMTU(p.iface, mtu))
}

// Close removes the interface, its cable, and the machine's namespace.
// Closing twice is no error.
func (p *Port) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	p.lab.forget(p)
	err := wrap("remove cable", p.lab.datacentre.net.LinkDel(p.cable))
	if p.Namespace == p.lab.home {
		return err
	}
	return errors.Join(err, p.Namespace.Close())
}
