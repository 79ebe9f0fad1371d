package qemu

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/vishvananda/netlink"

	"github.com/slipway-project/slipway/dhcpserver"
	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/provision/provider"
)

// A holder is the process that a private network belongs to.
type holder struct {
	run string

	mu      sync.Mutex                    // one request at a time
	bridges map[string]netlink.Link       // by bridge and VLAN of the spec
	servers map[string]*dhcpserver.Server // by interface
	serving sync.WaitGroup
	board   *board
	ctx     context.Context
}

// Hold keeps the private network of a cluster, in namespaces that [Supervise]
// has started it in, until ctx ends.
func Hold(ctx context.Context, dir, owner string) error {
	h := &holder{run: runDir(dir, owner), bridges: map[string]netlink.Link{}, servers: map[string]*dhcpserver.Server{}, ctx: ctx}
	h.board = newBoard(h.run)
	if err := h.settle(); err != nil {
		return err
	}
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: filepath.Join(h.run, netSocket), Net: "unixpacket"})
	if err != nil {
		return fmt.Errorf("socket of the network: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	defer h.serving.Wait()
	for {
		conn, err := listener.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("socket of the network: %w", err)
		}
		go h.serve(conn)
	}
}

// settle shows the processes inside a DNS server that they can reach: that of
// the host may be on its loopback.
func (h *holder) settle() error {
	hosts, resolv := filepath.Join(h.run, "hosts"), filepath.Join(h.run, "resolv.conf")
	known, err := os.ReadFile("/etc/hosts")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(hosts, known, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(resolv, []byte("nameserver "+uplinkDNS.String()+"\n"), 0o600); err != nil {
		return err
	}
	return netlab.Settle(hosts, resolv)
}

// serve answers one request of [askHolder].
func (h *holder) serve(conn *net.UnixConn) {
	defer conn.Close()
	stop := context.AfterFunc(h.ctx, func() { conn.Close() })
	defer stop()
	var request netRequest
	if _, err := receive(conn, &request); err != nil {
		return // who asked has gone
	}
	reply, tap := netReply{Enter: netlab.Enter()}, (*os.File)(nil)
	if err := h.do(request, &tap); err != nil {
		reply.Error = err.Error()
	}
	if tap != nil {
		defer tap.Close()
	}
	_ = send(conn, reply, tap) // or it has gone now
}

func (h *holder) do(r netRequest, tap **os.File) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case r.Uplink:
		*tap, err = h.connect()
	case r.Tap != "":
		*tap, err = h.plug(r.Tap, r.NIC)
	default:
		for _, s := range r.Segments {
			err = errors.Join(err, h.segment(s))
		}
	}
	return err
}

// bridge returns the link of a bridge and VLAN, and makes it when it is new.
func (h *holder) bridge(name string, vlan, mtu int) (netlink.Link, error) {
	key := fmt.Sprintf("%s.%d", name, vlan)
	if found := h.bridges[key]; found != nil {
		return found, nil
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = fmt.Sprintf("segment%d", len(h.bridges)), max(1500, mtu)
	off := false // nobody queries: neighbour discovery must be flooded
	b := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &off}
	if err := netlink.LinkAdd(b); err != nil {
		return nil, err
	}
	h.bridges[key] = b
	return b, netlink.LinkSetUp(b)
}

func (h *holder) plug(name string, nic provider.NIC) (*os.File, error) {
	b, err := h.bridge(nic.Bridge, nic.VLAN, nic.MTU)
	if err != nil {
		return nil, fmt.Errorf("segment %s: %w", nic.Bridge, err)
	}
	return newTap(name, provider.NIC{Bridge: b.Attrs().Name, MTU: nic.MTU})
}

// segment gives this host its addresses on a link, and starts DHCP there when
// anybody is to be answered.
func (h *holder) segment(s provider.Segment) error {
	b, err := h.bridge(s.Bridge, s.VLAN, 0)
	if err != nil {
		return fmt.Errorf("segment %s: %w", s.Bridge, err)
	}
	for _, a := range s.Addresses {
		if uplinkNet.Overlaps(a.Masked()) {
			return fmt.Errorf("segment %s: %s overlaps %s, which is the way out: choose another machine network", s.Bridge, a.Masked(), uplinkNet)
		}
		if err := netlink.AddrReplace(b, &netlink.Addr{IPNet: ipNet(a)}); err != nil {
			return fmt.Errorf("segment %s: address %s: %w", s.Bridge, a, err)
		}
	}
	return h.hand(b.Attrs().Name, s)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// hand answers the reservations of a segment by DHCP.
func (h *holder) hand(link string, s provider.Segment) error {
	if len(s.Reservations) == 0 || len(s.Addresses) == 0 {
		return nil
	}
	c := dhcpserver.Config{Interface: link, Server: s.Addresses[0], Router: s.Addresses[0].Addr(), DNS: s.DNS, Reservations: s.Reservations}
	if server := h.servers[link]; server != nil {
		return server.Set(c)
	}
	server, err := dhcpserver.Listen(h.ctx, c, h.board.of(link))
	if err != nil {
		return err
	}
	h.servers[link] = server
	h.serving.Go(func() { _ = server.Serve(h.ctx) }) // ends with the network
	return nil
}

// connect makes the way out: a tap whose other end is a user network of QEMU
// outside. The kernel routes to it, and answers there for who is inside.
func (h *holder) connect() (*os.File, error) {
	const name = "uplink"
	tap, err := openTap(name)
	if err != nil {
		return nil, fmt.Errorf("uplink: %w", err)
	}
	if err := route(name); err != nil {
		tap.Close()
		return nil, fmt.Errorf("uplink: %w", err)
	}
	return tap, nil
}

func route(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(uplinkOwn)})
	}
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err == nil {
		err = netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: uplinkHost.AsSlice(), Dst: ipNet(netip.MustParsePrefix("0.0.0.0/0"))})
	}
	for _, knob := range []string{"ip_forward", "conf/" + name + "/proxy_arp"} {
		err = cmp.Or(err, os.WriteFile("/proc/sys/net/ipv4/"+knob, []byte("1"), 0))
	}
	return err
}
