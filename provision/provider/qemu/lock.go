package qemu

import (
	"context"
	"fmt"
	"os"

	"github.com/slipway-project/slipway/internal/process"
)

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
	if err := process.Lock(ctx, d); err != nil {
		d.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return d, nil
}
