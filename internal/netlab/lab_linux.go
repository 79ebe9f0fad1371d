package netlab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"

	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/vishvananda/netlink"
)

// A Lab is a set of network segments, each a bridge in the datacentre's
// namespace, and of what is cabled to them. Addresses of the datacentre answer
// on every segment, as a router's do. It is safe for concurrent use.
type Lab struct {
	datacentre *Namespace
	home       *Namespace

	mu       sync.Mutex
	segments map[string]netlink.Link
	ports    map[*Port]bool
	taps     map[*Tap]bool
	serial   int // of bridges and cables, for their names
	closed   bool
}

// New makes an empty lab: a datacentre without bridges, and the calling
// process's own network namespace, not cabled yet.
func New() (*Lab, error) {
	home, err := ownNamespace()
	if err != nil {
		return nil, err
	}
	datacentre, err := newNamespace()
	if err != nil {
		return nil, errors.Join(err, home.Close())
	}
	return &Lab{
		datacentre: datacentre,
		home:       home,
		segments:   map[string]netlink.Link{},
		ports:      map[*Port]bool{},
		taps:       map[*Tap]bool{},
	}, nil
}

// Datacentre is the namespace that holds the bridges and the addresses of
// everything that is neither the process itself nor a machine. The Lab closes it.
func (l *Lab) Datacentre() *Namespace { return l.datacentre }

// Home is the network namespace of the process. The Lab closes it.
func (l *Lab) Home() *Namespace { return l.home }

// AddSegment makes a network segment, unless it is there already: a bridge on
// which the datacentre gets the given addresses, each with the length of its
// network's prefix.
func (l *Lab) AddSegment(name string, addrs ...netip.Prefix) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return wrap("segment "+name, net.ErrClosed)
	}
	if l.segments[name] == nil {
		bridge, err := l.addBridge()
		if err != nil {
			return wrap("segment "+name, err)
		}
		l.segments[name] = bridge
	}
	return wrap("segment "+name, l.datacentre.address(l.segments[name], addrs))
}

func (l *Lab) addBridge() (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = l.name("br")
	// One of its own: else it is that of the lowest port, and all who know it
	// lose the datacentre for seconds whenever such a port comes or goes.
	attrs.HardwareAddr = net.HardwareAddr{2, 'b', 'r', 0, byte(l.serial >> 8), byte(l.serial)}
	snooping := false // nobody queries here: neighbour discovery must be flooded
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
	if err := l.datacentre.net.LinkAdd(bridge); err != nil {
		return nil, fmt.Errorf("add bridge: %w", err)
	}
	if err := l.datacentre.net.LinkSetUp(bridge); err != nil {
		return nil, fmt.Errorf("bridge up: %w", err)
	}
	return bridge, nil
}

func (l *Lab) name(prefix string) string {
	l.serial++
	return fmt.Sprintf("%s%d", prefix, l.serial)
}

// AddRemote gives the datacentre an address that lies in no segment; whoever
// has a datacentre address as gateway reaches it.
func (l *Lab) AddRemote(addr netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return wrap("remote address "+addr.String(), net.ErrClosed)
	}
	lo, err := l.datacentre.net.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("remote address %s: %w", addr, err)
	}
	return l.datacentre.address(lo, []netip.Prefix{netip.PrefixFrom(addr, addr.BitLen())})
}

// Route makes the datacentre forward packets between segments.
func (l *Lab) Route() error {
	return l.datacentre.Do(func() error {
		v4 := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
		v6 := os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0)
		if errors.Is(v6, os.ErrNotExist) { // kernel without IPv6
			v6 = nil
		}
		return errors.Join(v4, v6)
	})
}

// ListenSegment opens a UDP socket of the datacentre that hears what comes to
// port from one segment, broadcasts included, and sends there only: what a DHCP
// server needs.
func (l *Lab) ListenSegment(segment string, port int) (c net.PacketConn, err error) {
	l.mu.Lock()
	bridge := l.segments[segment]
	l.mu.Unlock()
	if bridge == nil {
		return nil, fmt.Errorf("segment %s: no such segment", segment)
	}
	err = l.datacentre.Do(func() error {
		c, err = server4.NewIPv4UDPConn(bridge.Attrs().Name, &net.UDPAddr{Port: port})
		return err
	})
	return c, wrap(fmt.Sprintf("segment %s: listen on port %d", segment, port), err)
}

// Connect cables the process's own namespace to a segment, with an interface
// of the given name that is up.
func (l *Lab) Connect(segment, ifname string, addrs []netip.Prefix, gateway netip.Addr) error {
	port, err := l.plug(l.home, segment, ifname, nil)
	if err != nil {
		return err
	}
	return errors.Join(port.Up(), port.Configure(addrs, gateway, 0))
}

// AddMachine makes a namespace with one interface, eth0, that has the given
// MAC and is cabled to segment. The cable is not plugged in yet: see [Port.Up].
func (l *Lab) AddMachine(segment string, mac net.HardwareAddr) (*Port, error) {
	ns, err := newNamespace()
	if err != nil {
		return nil, err
	}
	port, err := l.plug(ns, segment, "eth0", mac)
	if err != nil {
		return nil, errors.Join(err, ns.Close())
	}
	return port, nil
}

func (l *Lab) plug(ns *Namespace, segment, ifname string, mac net.HardwareAddr) (*Port, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bridge := l.segments[segment]
	if bridge == nil {
		return nil, fmt.Errorf("segment %s: no such segment", segment)
	}
	port, err := newPort(l, ns, l.name("cable"), ifname, mac, bridge)
	if err != nil {
		return nil, fmt.Errorf("cable %s to segment %s: %w", ifname, segment, err)
	}
	l.ports[port] = true
	return port, nil
}

func (l *Lab) forget(p *Port) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ports, p)
}

// Close removes every machine, cable and bridge. Sockets that are still open
// keep their namespace, but lead nowhere. Closing twice is no error.
func (l *Lab) Close() error {
	var errs []error
	for _, c := range l.cables() {
		errs = append(errs, c.Close())
	}
	errs = append(errs, l.removeSegments(), l.datacentre.Close(), l.home.Close())
	return errors.Join(errs...)
}

// cables are those of all machines.
func (l *Lab) cables() (open []io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.ports {
		open = append(open, p)
	}
	for t := range l.taps {
		open = append(open, t)
	}
	return open
}

func (l *Lab) removeSegments() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var errs []error
	for name, bridge := range l.segments {
		errs = append(errs, l.datacentre.net.LinkDel(bridge))
		delete(l.segments, name)
	}
	return errors.Join(errs...)
}
