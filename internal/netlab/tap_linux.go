package netlab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
)

// tapMTU lets guests choose theirs; the wire's bridge follows its other ports.
const tapMTU = 9000

// A Tap is the cable of a machine that another program runs, such as QEMU. It
// is safe for concurrent use.
type Tap struct {
	lab  *Lab
	link netlink.Link
	file *os.File

	mu     sync.Mutex
	closed bool
}

// AddTap cables an interface of a virtual machine to segment. The cable is
// plugged in. Programs get it as an open descriptor, see [Tap.File], and need
// no rights in the lab; it goes when the last of them closes it.
func (l *Lab) AddTap(segment string) (*Tap, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bridge := l.segments[segment]
	if bridge == nil {
		return nil, fmt.Errorf("segment %s: no such segment", segment)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = l.name("tap"), bridge.Attrs().Index
	link := &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP, NonPersist: true, Queues: 1,
		Flags: netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR}
	// The device belongs to the namespace of the thread that opens it.
	if err := l.datacentre.Do(func() error { return netlink.LinkAdd(link) }); err != nil {
		return nil, fmt.Errorf("tap on segment %s: %w", segment, adviseTap(err))
	}
	t := &Tap{lab: l, link: link, file: link.Fds[0]}
	err := errors.Join(l.datacentre.net.LinkSetMTU(link, tapMTU), l.datacentre.net.LinkSetUp(link))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tap on segment %s: %w", segment, err), t.file.Close())
	}
	l.taps[t] = true
	return t, nil
}

// File is the descriptor to hand to the program that runs the machine.
func (t *Tap) File() *os.File { return t.file }

// Down pulls the cable: nothing is refused, packets vanish.
func (t *Tap) Down() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return wrap("cable down", net.ErrClosed)
	}
	return wrap("cable down", t.lab.datacentre.net.LinkSetDown(t.link))
}

// Close removes the cable, whoever else has it open. Closing twice is no error.
func (t *Tap) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	t.lab.unplugged(t)
	return errors.Join(wrap("remove cable", t.lab.datacentre.net.LinkDel(t.link)), t.file.Close())
}

func (l *Lab) unplugged(t *Tap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.taps, t)
}
