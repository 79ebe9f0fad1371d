package proxmox

import (
	"context"
	"fmt"
	"slices"

	"github.com/slipway-project/slipway/provision/provider"
)

var _ provider.Repairer = (*Provider)(nil)

// Repair sets tray, boot order and tags, and of a machine that is off vCPUs
// and memory. Disks, network devices, identity and name stay as they are: a
// change of theirs is a question for whoever made it. The digest of the
// configuration that was looked at goes along, so that nobody's change in
// between is undone.
func (p *Provider) Repair(ctx context.Context, m provider.Machine) (left []string, err error) {
	v, now, err := p.ownedWithPower(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("repair machine %s: %w", m.Name, err)
	}
	if changes := v.repairs(m, now); len(changes) > 0 {
		if v, err = p.apply(ctx, v, changes); err != nil {
			return nil, fmt.Errorf("repair machine %s: %w", m.Name, err)
		}
	}
	if err := p.tag(ctx, v, m.Tags); err != nil {
		return nil, fmt.Errorf("repair machine %s: %w", m.Name, err)
	}
	return v.beyondRepair(m, now), nil
}

// repairs are the options that bring v to what m asks.
func (v vm) repairs(m provider.Machine, now provider.Power) map[string]any {
	changes := make(map[string]any)
	if v.config["boot"] != bootOrder && v.config[diskSlot] != "" {
		changes["boot"] = bootOrder
	}
	if v.config[traySlot] == "" || v.media() != m.Media {
		changes[traySlot] = trayLine(m.Media)
	}
	got := v.machine()
	if now == provider.PowerOff && got.CPUs != m.CPUs {
		changes["cores"], changes["sockets"] = m.CPUs, 1
	}
	if now == provider.PowerOff && got.Memory != m.Memory {
		changes["memory"] = m.Memory
	}
	return changes
}

func (p *Provider) apply(ctx context.Context, v vm, changes map[string]any) (vm, error) {
	if digest := v.config["digest"]; digest != "" {
		changes["digest"] = string(digest)
	}
	err := p.api.patiently(ctx, v.node, func() error { return p.api.put(ctx, v.path()+"/config", changes) })
	if err != nil && !lost(err) {
		return v, err
	}
	return p.read(ctx, v.node, v.id) // an answer that was lost is settled by looking
}

// beyondRepair says what is otherwise than m asks, and why it stays.
func (v vm) beyondRepair(m provider.Machine, now provider.Power) []string {
	o, _ := v.owner()
	left := append(v.astray(o), differences(m, v.machine())...)
	if v.media() != m.Media {
		left = append(left, fmt.Sprintf("its tray holds %q, not %q", v.media(), m.Media))
	}
	if now != provider.PowerOff && slices.ContainsFunc(left, needsOff) {
		left = append(left, "vCPUs and memory are changed when it is off: drain the node, shut it down, run `slipway up` again")
	}
	return left
}
