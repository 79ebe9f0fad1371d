package process

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// LockEnds is how long the lock of a process that is just being killed may
// outlive it: until its files are closed, and with a child that it was forking.
const LockEnds = 2 * time.Second

const lockPoll = 20 * time.Millisecond

// Lock takes the lock of a file (flock(2)), which goes with the process that
// holds it, however that ends. It waits for whoever has it until ctx ends, and
// then returns the cause.
func Lock(ctx context.Context, f *os.File) error {
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
