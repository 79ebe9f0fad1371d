package loadbalancer

import (
	"context"
	"errors"
	"time"
)

// until asks again every 20 ms until done says nil; when ctx ends first it
// returns what was still wrong, and why it stopped.
func until(ctx context.Context, done func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := done()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-tick.C:
		}
	}
}
