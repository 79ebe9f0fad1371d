package probe

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// LookForNeighbour asks on the link that leads to a who has it, and waits that
// long for an answer. It needs no rights: a datagram to the port discard makes
// the kernel ask. Where a router is in between, and on links where nobody is
// asked, such as tunnels, nobody is found. Whoever the kernel remembers is
// confirmed first, which takes up to 9 s, unless it is the one expected, which
// may be nil: others would have been heard of.
func LookForNeighbour(ctx context.Context, a netip.Addr, expected net.HardwareAddr, patience time.Duration) (Neighbour, error) {
	link, here, err := linkTo(a)
	if err != nil || here || link == 0 {
		return Neighbour{Here: here}, err
	}
	if err := knock(ctx, a); err != nil {
		return Neighbour{}, fmt.Errorf("look for %s: %w", a, err)
	}
	began := time.Now()
	tick := time.NewTicker(neighbourPoll)
	defer tick.Stop()
	for {
		mac, state, err := neighbour(link, a)
		if err != nil {
			return Neighbour{}, fmt.Errorf("look for %s: %w", a, err)
		}
		remembered := state&(unix.NUD_STALE|unix.NUD_DELAY|unix.NUD_PROBE) != 0
		switch waited := time.Since(began); {
		case state&(unix.NUD_REACHABLE|unix.NUD_PERMANENT) != 0, remembered && bytes.Equal(mac, expected):
			return Neighbour{MAC: mac}, nil
		case state == unix.NUD_FAILED, state == unix.NUD_NOARP, waited > staleTime:
			return Neighbour{}, nil
		case !remembered && waited > patience:
			return Neighbour{}, nil
		}
		select {
		case <-ctx.Done():
			return Neighbour{}, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// linkTo is the index of the link that a is on: 0 when it is behind a router,
// or nowhere.
func linkTo(a netip.Addr) (link int, here bool, err error) {
	routes, err := netlink.RouteGet(a.AsSlice())
	switch {
	case err != nil || len(routes) == 0: // no way there
		return 0, false, nil
	case routes[0].Type == unix.RTN_LOCAL:
		return 0, true, nil
	case routes[0].Gw != nil || routes[0].Type != unix.RTN_UNICAST:
		return 0, false, nil
	}
	return routes[0].LinkIndex, false, nil
}

func knock(ctx context.Context, a netip.Addr) error {
	const discard = 9 // RFC 863
	conn, err := new(net.Dialer).DialContext(ctx, "udp", netip.AddrPortFrom(a, discard).String())
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte{0})
	return err
}

// neighbour is what the kernel knows of who has a on the link, and how well.
func neighbour(link int, a netip.Addr) (net.HardwareAddr, int, error) {
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	all, err := netlink.NeighList(link, family)
	for _, n := range all {
		if at, ok := netip.AddrFromSlice(n.IP); ok && at.Unmap() == a {
			return n.HardwareAddr, n.State, err
		}
	}
	return nil, 0, err
}
