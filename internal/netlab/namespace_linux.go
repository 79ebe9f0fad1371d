package netlab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A Namespace is a network namespace that lives as long as this value, or a
// socket made in it, is open. It is safe for concurrent use.
type Namespace struct {
	fd    netns.NsHandle
	net   *netlink.Handle // netlink socket in the namespace
	close func() error
}

// newNamespace makes an empty namespace with its loopback interface up.
func newNamespace() (*Namespace, error) {
	return adopt("make a network namespace", func() (netns.NsHandle, error) { return netns.New() })
}

// ownNamespace is the namespace this process was started in.
func ownNamespace() (*Namespace, error) {
	return adopt("open the own network namespace", netns.Get)
}

func adopt(what string, get func() (netns.NsHandle, error)) (*Namespace, error) {
	n := &Namespace{fd: netns.None()}
	n.close = sync.OnceValue(n.release)
	err := aside(func() (err error) {
		if n.fd, err = get(); err != nil {
			return err
		}
		if n.net, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return err
		}
		return n.loopback()
	})
	if err != nil {
		return nil, errors.Join(advise(fmt.Errorf("%s: %w", what, err)), n.Close())
	}
	return n, nil
}

func (n *Namespace) loopback() error {
	lo, err := n.net.LinkByName("lo")
	if err != nil {
		return err
	}
	return n.net.LinkSetUp(lo)
}

// Do runs f inside the namespace, on a thread that leaves it afterwards.
// Sockets that f makes, and processes that it starts, stay inside; goroutines
// that it starts do not.
func (n *Namespace) Do(f func() error) error {
	return aside(func() error {
		if err := netns.Set(n.fd); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// Listen opens a listener in the namespace. The host of address is an IP
// literal or empty.
func (n *Namespace) Listen(network, address string) (l net.Listener, err error) {
	if err := literal(address); err != nil {
		return nil, err
	}
	err = n.Do(func() error {
		l, err = net.Listen(network, address)
		return err
	})
	return l, err
}

// ListenPacket opens a packet socket in the namespace, see [Namespace.Listen].
func (n *Namespace) ListenPacket(network, address string) (c net.PacketConn, err error) {
	if err := literal(address); err != nil {
		return nil, err
	}
	err = n.Do(func() error {
		c, err = net.ListenPacket(network, address)
		return err
	})
	return c, err
}

// Dial connects from within the namespace, see [Namespace.Listen]. Names are
// refused: they would be looked up outside of it.
func (n *Namespace) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	if err := literal(address); err != nil {
		return nil, err
	}
	err = n.Do(func() error {
		var d net.Dialer
		c, err = d.DialContext(ctx, network, address)
		return err
	})
	return c, err
}

func literal(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if host == "" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("address %q: not an IP literal", address)
	}
	return nil
}

// Close lets go of the namespace. Closing twice is no error.
func (n *Namespace) Close() error { return n.close() }

func (n *Namespace) release() error {
	if n.net != nil {
		n.net.Close()
	}
	if !n.fd.IsOpen() {
		return nil
	}
	return n.fd.Close()
}
