package qemu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/provision/provider"
)

// maxAttempts bounds the ids that one name leads to.
const maxAttempts = 100

// Allocate chooses an id that follows from m's name.
func (p *Provider) Allocate(_ context.Context, m provider.Machine, avoid []string) (provider.Machine, error) {
	for attempt := range maxAttempts {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", m.Name, attempt))
		id := hex.EncodeToString(sum[:4])
		if slices.Contains(avoid, id) || !p.free(id, m) {
			continue
		}
		m.ID, m.Place = id, place
		return m, nil
	}
	return m, fmt.Errorf("allocate %s: %d ids are taken in %s", m.Name, maxAttempts, p.machines())
}

// free reports whether nothing has the id, or m itself.
func (p *Provider) free(id string, m provider.Machine) bool {
	r, err := read(p.dir, id)
	return errors.Is(err, errGone) || err == nil && r.belongsTo(m)
}

// Ensure makes the directory of m with its record in it, at once, and then
// the disks, sparse; or completes the machine that is there.
func (p *Provider) Ensure(ctx context.Context, m provider.Machine) (provider.Machine, error) {
	var got provider.Machine
	err := p.locked(ctx, func() error {
		r, err := p.there(m)
		if errors.Is(err, errGone) {
			r, err = p.create(ctx, m)
		}
		if err == nil {
			err = p.furnish(r)
		}
		got = r.Machine
		return err
	})
	if err == nil {
		got, err = p.observe(ctx, got)
	}
	if err != nil {
		return m, fmt.Errorf("make machine %s: %w", m.Name, err)
	}
	got.Adrift = append(got.Adrift, differences(m, got)...)
	return got, nil
}

// there finds m under whatever id, or says what is under m's.
func (p *Provider) there(m provider.Machine) (record, error) {
	all, err := records(p.dir, m.Mark)
	if err != nil {
		return record{}, err
	}
	if i := slices.IndexFunc(all, func(r record) bool { return r.belongsTo(m) }); i >= 0 {
		return all[i], nil
	}
	_, err = read(p.dir, m.ID)
	if err == nil || errors.Is(err, errForeign) {
		err = fmt.Errorf("%s: %w", p.machineDir(m.ID), provider.ErrTaken)
	}
	return record{}, err
}

// create renames a directory that is whole to where it belongs. One that a
// killed run has left is begun anew.
func (p *Provider) create(ctx context.Context, m provider.Machine) (record, error) {
	if !idShape.MatchString(m.ID) {
		return record{}, fmt.Errorf("id %q is not one that Allocate gives", m.ID)
	}
	m.Power, m.Adrift, m.Place = provider.PowerUnknown, nil, place
	r := record{Machine: m, Network: p.cfg.Network}
	if p.cfg.UEFI {
		code, _, err := p.firmware()
		if err != nil {
			return r, hint.With(err, "install it, or write firmware = \"bios\"")
		}
		r.Firmware = qemu.Firmware{Code: code, Vars: filepath.Join(p.machineDir(m.ID), "vars.fd")}
	}
	next := filepath.Join(p.machines(), ".new")
	if err := errors.Join(os.RemoveAll(next), os.Mkdir(next, 0o700)); err != nil {
		return r, err
	}
	if err := r.write(next); err != nil {
		return r, err
	}
	if err := os.Rename(next, p.machineDir(m.ID)); err != nil {
		return r, err
	}
	if err := errors.Join(provider.Record(ctx, p.machineDir(m.ID)), p.made()); err != nil {
		return r, err
	}
	return r, context.Cause(ctx)
}

// furnish makes what a machine lacks: an earlier run may have been killed.
func (p *Provider) furnish(r record) error {
	at := p.machineDir(r.Machine.ID)
	for i, gib := range disks(r.Machine) {
		if err := sparse(diskPath(at, i), int64(gib)<<30); err != nil {
			return err
		}
	}
	if !r.Firmware.UEFI() {
		return nil
	}
	_, template, err := p.firmware()
	if err != nil {
		return err
	}
	return copyOnce(template, r.Firmware.Vars)
}

// sparse makes a file of that many bytes that takes no room, unless it is there.
func sparse(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() >= size {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Close()
}

// differences says what of got is not as asked, for people.
func differences(asked, got provider.Machine) (all []string) {
	add := func(differ bool, format string, args ...any) {
		if differ {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	add(got.CPUs != asked.CPUs, "it has %d vCPUs, not %d", got.CPUs, asked.CPUs)
	add(got.Memory != asked.Memory, "it has %d MiB of memory, not %d", got.Memory, asked.Memory)
	add(!slices.Equal(disks(got), disks(asked)), "its disks have %v GiB, not %v", disks(got), disks(asked))
	add(got.UUID != asked.UUID, "its UUID is %s, not %s", got.UUID, asked.UUID)
	add(!slices.EqualFunc(got.NICs, asked.NICs, sameNIC), "its network devices are not those asked for")
	return all
}

func sameNIC(a, b provider.NIC) bool {
	return a.MAC.String() == b.MAC.String() && a.Bridge == b.Bridge && a.VLAN == b.VLAN && a.MTU == b.MTU
}

// Repair sets tags and tray, and of a machine that is off vCPUs and memory. What
// happened to one that is on is not said again.
func (p *Provider) Repair(ctx context.Context, m provider.Machine) (left []string, err error) {
	now, err := p.observe(ctx, m)
	if err == nil && m.Media != "" {
		err = p.Insert(ctx, m, m.Media)
	} else if err == nil {
		err = p.Eject(ctx, m)
	}
	if err == nil && now.Power == provider.PowerOn {
		if err = p.order(ctx, m, "/forget", order{}); absent(err) {
			err = nil // its supervisor has just ended, and it with that
		}
	}
	var got provider.Machine
	if err == nil {
		got, err = p.change(ctx, m, func(r *record) {
			r.Machine.Tags = m.Tags
			if now.Power == provider.PowerOff {
				r.Machine.CPUs, r.Machine.Memory = m.CPUs, m.Memory
			}
		})
	}
	if err != nil {
		return nil, fmt.Errorf("repair machine %s: %w", m.Name, err)
	}
	return differences(m, got), nil
}

// change edits the record of m.
func (p *Provider) change(ctx context.Context, m provider.Machine, edit func(*record)) (got provider.Machine, err error) {
	err = p.locked(ctx, func() error {
		r, err := p.owned(m)
		if err != nil {
			return err
		}
		edit(&r)
		got = r.Machine
		return r.write(p.machineDir(m.ID))
	})
	return got, err
}
