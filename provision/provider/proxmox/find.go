package proxmox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-project/slipway/provision/provider"
)

// Find lists the virtual machines that carry the mark, in name order. The
// pool, the range of VMIDs and the tag say where to look; the description
// decides. Guests that the token may not read are not ours.
func (p *Provider) Find(ctx context.Context, owner provider.Mark) ([]provider.Machine, error) {
	all, err := p.guests(ctx)
	if err != nil {
		return nil, fmt.Errorf("find machines of %s: %w", owner.Cluster, err)
	}
	found, err := p.readAll(ctx, slices.DeleteFunc(all, func(g guest) bool { return !p.candidate(g) }))
	if err != nil {
		return nil, fmt.Errorf("find machines of %s: %w", owner.Cluster, err)
	}
	found = slices.DeleteFunc(found, func(v vm) bool {
		o, ok := v.owner()
		return !ok || !owner.Owns(o.mark)
	})
	return p.describeAll(ctx, found)
}

func (p *Provider) candidate(g guest) bool {
	return g.Type == "qemu" && (p.cfg.VMIDs.holds(int(g.VMID)) ||
		p.cfg.Pool != "" && string(g.Pool) == p.cfg.Pool ||
		slices.Contains(tagList(g.Tags), ourTag))
}

// readAll reads configurations, leaving out guests that vanish meanwhile or
// are none of the token's business.
func (p *Provider) readAll(ctx context.Context, guests []guest) ([]vm, error) {
	read := make([]vm, len(guests))
	group, ctx := errgroup.WithContext(ctx)
	for i, g := range guests {
		group.Go(func() error {
			v, err := p.read(ctx, string(g.Node), int(g.VMID))
			if vanished(err) {
				return nil
			}
			read[i] = v
			return err
		})
	}
	err := group.Wait()
	return slices.DeleteFunc(read, func(v vm) bool { return v.config == nil }), err
}

// vanished tells that a guest is not there, or is none of the token's
// business: to a token with rights on a pool both look the same.
func vanished(err error) bool {
	return errors.Is(err, Forbidden) || errors.Is(err, NotFound) || errors.Is(err, errGone)
}

// describeAll leaves out machines that vanish meanwhile: the list of guests
// that they come from is old, and another run may be removing them.
func (p *Provider) describeAll(ctx context.Context, vms []vm) ([]provider.Machine, error) {
	machines := make([]provider.Machine, len(vms))
	group, ctx := errgroup.WithContext(ctx)
	for i, v := range vms {
		group.Go(func() error {
			m, err := p.describe(ctx, v)
			if vanished(err) {
				return nil
			}
			machines[i] = m
			return err
		})
	}
	err := group.Wait()
	machines = slices.DeleteFunc(machines, func(m provider.Machine) bool { return m.ID == "" })
	slices.SortFunc(machines, func(a, b provider.Machine) int { return cmp.Compare(a.Name, b.Name) })
	return machines, err
}

// describe completes a machine with its power state.
func (p *Provider) describe(ctx context.Context, v vm) (provider.Machine, error) {
	m := v.machine()
	var err error
	m.Power, err = p.power(ctx, v)
	return m, err
}
