//go:build !linux

package probe

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// LookForNeighbour finds nobody: only Linux is asked.
func LookForNeighbour(context.Context, netip.Addr, net.HardwareAddr, time.Duration) (Neighbour, error) {
	return Neighbour{}, nil
}
