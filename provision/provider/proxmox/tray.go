package proxmox

import (
	"context"
	"fmt"

	"github.com/slipway-project/slipway/provision/provider"
)

// Insert puts the image ref (STORAGE:iso/NAME) into the CD tray of m's
// virtual machine, running or not.
func (p *Provider) Insert(ctx context.Context, m provider.Machine, ref string) error {
	if err := p.setTray(ctx, m, ref); err != nil {
		return fmt.Errorf("insert %s into machine %s: %w", ref, m.Name, err)
	}
	return nil
}

// Eject empties the tray.
func (p *Provider) Eject(ctx context.Context, m provider.Machine) error {
	if err := p.setTray(ctx, m, ""); err != nil {
		return fmt.Errorf("eject from machine %s: %w", m.Name, err)
	}
	return nil
}

// trayLine is the drive with an image in it, or with none.
func trayLine(ref string) string {
	if ref == "" {
		return emptyTray
	}
	return ref + ",media=cdrom"
}

func (p *Provider) setTray(ctx context.Context, m provider.Machine, ref string) error {
	v, made := p.recent.get(m)
	if made {
		if err := p.changeTray(ctx, m, v, ref); !vanished(err) {
			return err
		}
	}
	v, err := p.owned(ctx, m)
	if err != nil {
		return err
	}
	return p.changeTray(ctx, m, v, ref)
}

func (p *Provider) changeTray(ctx context.Context, m provider.Machine, v vm, ref string) error {
	if v.media() == ref {
		return nil
	}
	err := p.api.surely(ctx, v.node, func() error {
		return p.api.put(ctx, v.path()+"/config", map[string]any{traySlot: trayLine(ref)})
	})
	if err != nil {
		return err
	}
	now, seen := p.read(ctx, v.node, v.id)
	if seen != nil {
		return seen
	}
	if now.media() != ref {
		return fmt.Errorf("the tray of VM %d holds %q still", v.id, now.media())
	}
	if now.belongsTo(m) {
		p.recent.refresh(now)
	}
	return nil
}
