package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a lock is tried that somebody else has.
const lockPoll = 20 * time.Millisecond

// locked does one thing at a time to the machines on disk, whoever does it.
// The lock is on the directory, and goes with its holder.
func (p *Provider) locked(ctx context.Context, do func() error) error {
	for {
		if err := os.MkdirAll(p.machines(), 0o700); err != nil {
			return err
		}
		d, err := lockDir(ctx, p.machines())
		if err != nil {
			return err
		}
		defer d.Close()
		if same(d, p.machines()) {
			return do()
		}
	}
}

// same reports whether the directory is the one that was opened: the last
// machine takes it along.
func same(d *os.File, path string) bool {
	held, err := d.Stat()
	now, lost := os.Stat(path)
	return err == nil && lost == nil && os.SameFile(held, now)
}

func lockDir(ctx context.Context, path string) (*os.File, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return d, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			d.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			d.Close()
			return nil, fmt.Errorf("lock %s: %w", path, context.Cause(ctx))
		case <-tick.C:
		}
	}
}
