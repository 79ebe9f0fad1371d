package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/slipway-project/slipway/provision/provider"
)

// Release ends m's machine and removes its directory; with the last machine of
// the cluster its supervisor goes, unless a private network keeps it, and with
// the last of all the directory.
func (p *Provider) Release(ctx context.Context, m provider.Machine) error {
	err := p.release(ctx, m)
	if errors.Is(err, errGone) || errors.Is(err, errForeign) {
		err = nil
	}
	if err == nil && p.cfg.Network != NetworkPrivate {
		err = p.retire(ctx, m.Mark)
	}
	if err != nil {
		return fmt.Errorf("release machine %s: %w", m.Name, err)
	}
	return nil
}

func (p *Provider) release(ctx context.Context, m provider.Machine) error {
	if _, err := p.owned(m); err != nil {
		return err
	}
	if err := p.off(ctx, m); err != nil {
		return err
	}
	return p.locked(ctx, func() error {
		if _, err := p.owned(m); err != nil {
			return err
		}
		return p.remove(m.ID)
	})
}

// remove takes the directory away at once, and then what is in it.
func (p *Provider) remove(id string) error {
	gone := filepath.Join(p.machines(), ".old")
	if err := os.RemoveAll(gone); err != nil {
		return err
	}
	if err := os.Rename(p.machineDir(id), gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// retire ends the supervisor of a cluster that has no machines any more.
func (p *Provider) retire(ctx context.Context, owner provider.Mark) error {
	left, err := records(p.dir, provider.Mark{Cluster: owner.Cluster})
	if err != nil || len(left) > 0 {
		return err
	}
	if err := p.dismiss(ctx, owner.Cluster); err != nil {
		return err
	}
	if err := p.locked(ctx, p.sweep); err != nil {
		return err
	}
	p.tidy()
	return nil
}

// sweep removes what killed runs left half done.
func (p *Provider) sweep() error {
	half, err := filepath.Glob(filepath.Join(p.images(), ".*"))
	for _, left := range append(half, filepath.Join(p.machines(), ".new"), filepath.Join(p.machines(), ".old")) {
		err = errors.Join(err, os.RemoveAll(left))
	}
	return err
}

// tidy removes directories that are empty; the others stay, which is no error.
func (p *Provider) tidy() {
	for _, dir := range []string{p.machines(), p.images(), filepath.Join(p.dir, "run"), p.dir} {
		_ = os.Remove(dir)
	}
}
