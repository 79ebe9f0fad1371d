package qemu

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/provision/provider"
)

// Find lists the machines of owner, with what the supervisor says of them.
func (p *Provider) Find(ctx context.Context, owner provider.Mark) ([]provider.Machine, error) {
	all, err := records(p.dir, owner)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, nil
	}
	st, err := p.status(ctx, owner.Cluster)
	if err != nil {
		return nil, fmt.Errorf("find machines of %s: %w", owner.Cluster, err)
	}
	var found []provider.Machine
	for _, r := range all {
		found = append(found, st.describe(r.Machine))
	}
	return found, nil
}

// observe adds to m what its supervisor says of it.
func (p *Provider) observe(ctx context.Context, m provider.Machine) (provider.Machine, error) {
	st, err := p.status(ctx, m.Mark.Cluster)
	if err != nil {
		return m, err
	}
	return st.describe(m), nil
}

// describe tells power and what happened. Without a supervisor all is off.
func (s Status) describe(m provider.Machine) provider.Machine {
	g := s.Guests[m.ID]
	m.Power = provider.PowerOff
	if g.On {
		m.Power = provider.PowerOn
	}
	if g.Note != "" {
		m.Adrift = append(m.Adrift, g.Note)
	}
	return m
}

// consoleBytes is how much of a console is shown.
const consoleBytes = 64 << 10

// Console returns the last 64 KiB of what m wrote to its first serial port,
// over all its boots.
func (p *Provider) Console(_ context.Context, m provider.Machine) (io.ReadCloser, error) {
	if _, err := p.owned(m); err != nil {
		return nil, fmt.Errorf("console of %s: %w", m.Name, err)
	}
	f, err := os.Open(qemu.VM{Dir: p.machineDir(m.ID)}.Serial())
	if err != nil {
		return nil, fmt.Errorf("console of %s: %w", m.Name, err)
	}
	if info, err := f.Stat(); err == nil && info.Size() > consoleBytes {
		_, _ = f.Seek(-consoleBytes, io.SeekEnd) // at worst there is more to see
	}
	return f, nil
}
