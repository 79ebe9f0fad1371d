package qemu

import (
	"context"
	"fmt"
	"os"

	"github.com/slipway-project/slipway/provision/provider"
)

// Insert puts the image ref into the CD tray of m's machine, running or not.
func (p *Provider) Insert(ctx context.Context, m provider.Machine, ref string) error {
	_, err := os.Stat(p.image(ref))
	if err == nil {
		err = p.setTray(ctx, m, ref)
	}
	if err != nil {
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

// setTray notes the medium first: a machine that starts meanwhile finds it.
func (p *Provider) setTray(ctx context.Context, m provider.Machine, ref string) error {
	r, err := p.owned(m)
	if err != nil {
		return err
	}
	if r.Machine.Media != ref {
		if _, err := p.change(ctx, m, func(r *record) { r.Machine.Media = ref }); err != nil {
			return err
		}
	}
	path := ""
	if ref != "" {
		path = p.image(ref)
	}
	if err := p.order(ctx, m, "/media", order{Media: path}); !absent(err) {
		return err
	}
	return nil
}
