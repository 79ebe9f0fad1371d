package proxmox

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
)

// Release destroys m's virtual machine with its disks, running or not. A
// foreign one under its id means that m's is gone, unless it is the same
// machine whose mark somebody has removed.
func (p *Provider) Release(ctx context.Context, m provider.Machine) error {
	if m.ID == "" {
		return nil // nothing was ever begun
	}
	v, now, err := p.ownedWithPower(ctx, m)
	if errors.Is(err, errGone) || errors.Is(err, errForeign) {
		v, err = p.ownedAfterCreation(ctx, m)
		now = provider.PowerUnknown
	}
	switch {
	case err == nil:
		err = p.destroy(ctx, v, now)
	case errors.Is(err, errGone):
		return nil
	case errors.Is(err, errForeign):
		err = stripped(m, v)
	}
	if err != nil {
		return fmt.Errorf("release machine %s: %w", m.Name, err)
	}
	return nil
}

// ownedAfterCreation looks again when a creation of ours has ended that was
// under way: until then the machine has no mark and is in no pool.
func (p *Provider) ownedAfterCreation(ctx context.Context, m provider.Machine) (vm, error) {
	if err := p.awaitCreation(ctx, m); err != nil {
		return vm{}, err
	}
	return p.owned(ctx, m)
}

// stripped tells a machine that lost its mark from one that was never ours.
func stripped(m provider.Machine, v vm) error {
	if v.config == nil || v.uuid() != m.UUID || string(v.config["name"]) != m.Name {
		return nil
	}
	return hint.With(fmt.Errorf("VM %d has its name and UUID, but the mark in its description is missing", v.id),
		fmt.Sprintf("it was not touched; if it is to go, run on node %s: qm stop %d && qm destroy %d --purge", v.node, v.id, v.id))
}

// destroy leaves the verdict to the list of guests where a destroy that an
// earlier run began may have ended just now: a machine that is gone is not
// found by root, and forbidden to a token whose rights came from its pool.
func (p *Provider) destroy(ctx context.Context, v vm, now provider.Power) (err error) {
	if now != provider.PowerOff {
		err = p.drive(ctx, v, provider.PowerOff, p.stop)
	}
	if err == nil {
		err = p.api.surely(ctx, v.node, func() error { return p.remove(ctx, v) })
	} else if !vanished(err) {
		return err
	}
	if errors.Is(err, NotFound) {
		err = nil
	}
	return p.gone(ctx, v, err)
}

func (p *Provider) remove(ctx context.Context, v vm) error {
	handle, err := p.api.delete(ctx, v.path(), p.destroyOptions(v))
	if err != nil {
		return err
	}
	return p.api.finish(ctx, handle, vmTask)
}

// destroyOptions looks for stray disks only where the VMID was of our
// choosing: elsewhere they may belong to somebody.
func (p *Provider) destroyOptions(v vm) url.Values {
	options := url.Values{"purge": {"1"}}
	if p.cfg.VMIDs.holds(v.id) {
		options.Set("destroy-unreferenced-disks", "1")
	}
	return options
}

// gone decides by the list of guests, not by how the call went. A call that
// was refused is not waited for.
func (p *Provider) gone(ctx context.Context, v vm, destroyed error) error {
	limit := p.pace.Budget(settling)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("VM %d is still there after %s", v.id, limit))
	defer cancel()
	for {
		_, there, err := p.locate(ctx, v.id)
		if err != nil || !there {
			return err
		}
		if destroyed != nil && !lost(destroyed) {
			return destroyed
		}
		if err := p.pace.Wait(ctx, time.Second); err != nil {
			return errors.Join(err, destroyed)
		}
	}
}
