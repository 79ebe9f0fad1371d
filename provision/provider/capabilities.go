package provider

import (
	"context"
	"io"
	"net/netip"

	"github.com/slipway-project/slipway/dhcpserver"
)

// A Consoler is a Provider that keeps what machines write to their console.
type Consoler interface {
	// Console returns the end of what m wrote, oldest first, of all its boots:
	// what to show when a machine does not come up. The caller closes it. A
	// machine that never ran is os.ErrNotExist.
	Console(ctx context.Context, m Machine) (io.ReadCloser, error)
}

// A Noticer is a Provider that watches machines and their network by itself.
type Noticer interface {
	// Notices are sentences on what it has met and a run may wait in vain for: a
	// machine that hung, a second DHCP server. It takes no longer than a look.
	Notices(ctx context.Context, owner Mark) ([]string, error)
}

// A Netter is a Provider whose machines may be on a network that only they
// know of. Whoever is to reach them, or to be reached by them, runs inside.
type Netter interface {
	// EnsureNet makes the network of a cluster, or brings the one that is there
	// to what n says, before machines are switched on. It says where on this
	// host what n publishes is reached.
	EnsureNet(ctx context.Context, owner Mark, n Net) ([]Published, error)
	// Enter returns the beginning of a command line that runs what follows it
	// inside, with files, environment and user as they are. It is nil where
	// machines are on a network of this host, and nobody has to enter any.
	Enter(ctx context.Context, owner Mark) ([]string, error)
	// ReleaseNet removes the network, on which no machine may be left. One that
	// is gone already is no error; who is inside stays there by themselves.
	ReleaseNet(ctx context.Context, owner Mark) error
}

// A Net is what a private network is made of.
type Net struct {
	Segments []Segment        `json:"segments"`
	Publish  []netip.AddrPort `json:"publish,omitempty"` // TCP, of addresses inside
}

// A Segment is one link, on which are all network devices of its bridge and VLAN.
type Segment struct {
	Bridge       string                   `json:"bridge"`
	VLAN         int                      `json:"vlan,omitempty"`
	Addresses    []netip.Prefix           `json:"addresses"`     // of this host there: the gateway, the services
	DNS          []netip.Addr             `json:"dns,omitempty"` // told by DHCP
	Reservations []dhcpserver.Reservation `json:"reservations,omitempty"`
}

// A Published is where something inside is reached from outside.
type Published struct {
	Inside netip.AddrPort `json:"inside"`
	Host   netip.AddrPort `json:"host"` // of this host's loopback
}
