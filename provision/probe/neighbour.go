package probe

import (
	"net"
	"time"
)

// A Neighbour is who has an address on a link of this host.
type Neighbour struct {
	MAC  net.HardwareAddr // who answers for it by ARP or neighbour discovery; nil: nobody
	Here bool             // this host itself has it
}

// Times of [LookForNeighbour].
const (
	neighbourPoll = 20 * time.Millisecond
	// staleTime is how long the kernel takes to give up a neighbour that it knew:
	// delay_first_probe_time and three probes (Documentation/networking/ip-sysctl.rst).
	staleTime = 9 * time.Second
)
