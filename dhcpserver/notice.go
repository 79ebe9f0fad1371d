package dhcpserver

import (
	"fmt"
	"net/netip"
)

// A NoticeKind says what a [Notice] is about.
type NoticeKind string

// The kinds of notices.
const (
	Granted  NoticeKind = "granted"  // Name has Address
	Declined NoticeKind = "declined" // Name found Address in use by another host (ARP)
	Refused  NoticeKind = "refused"  // Name asked for an address that is not its own
	Stranger NoticeKind = "stranger" // Name, a MAC, has no reservation: no answer
	Rival    NoticeKind = "rival"    // the server at Address answers on the link: we are silent
	Alone    NoticeKind = "alone"    // it does no more
)

// A Notice is something that happened on the link.
type Notice struct {
	Kind    NoticeKind
	Name    string // of a reservation; of a stranger, its MAC
	Address netip.Addr
}

// String is a sentence for people.
func (n Notice) String() string {
	switch n.Kind {
	case Granted:
		return fmt.Sprintf("%s has %s by DHCP", n.Name, n.Address)
	case Declined:
		return fmt.Sprintf("%s found its address %s taken by another host", n.Name, n.Address)
	case Refused:
		return fmt.Sprintf("%s asked by DHCP for another address than %s", n.Name, n.Address)
	case Stranger:
		return fmt.Sprintf("%s asks for an address by DHCP, has no reservation, and gets no answer", n.Name)
	case Rival:
		return fmt.Sprintf("another DHCP server, %s, answers: ours is silent until it is gone", n.Address)
	}
	return "no other DHCP server answers any more"
}
