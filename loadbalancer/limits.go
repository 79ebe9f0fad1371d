package loadbalancer

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/hint"
)

const (
	mostConn = 20000 // connections in all, however many files there may be
	ownFiles = 300   // descriptors for all but connections
	leastUse = 100   // connections below which a balancer is of no use
)

// MaxConn returns how many connections a haproxy started by this process can
// hold: two descriptors each, and a few hundred for itself. A fixed number
// that is too high passes haproxy -c and then does not start. haproxy raises
// its own limit as far as it needs to, and may.
func MaxConn() (int, error) { return fitting(2) }

// embeddedMaxConn is the same for connections in our own process: while bytes
// move, each direction has a pipe besides. The soft limit is raised by package
// os when a Go program starts.
func embeddedMaxConn() (int, error) { return fitting(6) }

// fitting returns how many connections of so many descriptors the hard limit
// allows.
func fitting(files int) (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read file limit: %w", err)
	}
	n := maxConn(limit.Max, files)
	if n < leastUse {
		return 0, hint.With(fmt.Errorf("file limit %d is too low for a load balancer", limit.Max),
			fmt.Sprintf("ulimit -Hn %d", ownFiles+files*mostConn))
	}
	return n, nil
}

func maxConn(limit uint64, files int) int {
	return min(mostConn, (int(min(limit, math.MaxInt32))-ownFiles)/files)
}
