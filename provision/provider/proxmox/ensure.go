package proxmox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/slipway-project/slipway/provision/provider"
)

// Ensure creates m under its VMID, or adopts the virtual machine that
// carries its mark and name, whatever its id. A call without an answer is
// settled by looking, and only ever repeated under the same VMID: PVE creates
// one machine of it at most.
func (p *Provider) Ensure(ctx context.Context, m provider.Machine) (provider.Machine, error) {
	params, err := p.createParams(m)
	if err != nil {
		return m, err
	}
	return p.ensure(ctx, m, params)
}

func (p *Provider) ensure(ctx context.Context, m provider.Machine, params map[string]any) (provider.Machine, error) {
	for try := 1; ; try++ {
		got, err := p.makeOrAdopt(ctx, m, params)
		if err == nil {
			return got, nil
		}
		if !lost(err) && !errors.Is(err, errGone) || try == lostTries || ctx.Err() != nil {
			return m, fmt.Errorf("create machine %s (VM %s): %w", m.Name, m.ID, err)
		}
	}
}

func (p *Provider) makeOrAdopt(ctx context.Context, m provider.Machine, params map[string]any) (provider.Machine, error) {
	v, err := vm{}, errGone
	if !p.takeFresh(m) {
		v, err = p.look(ctx, m)
	}
	if errors.Is(err, provider.ErrTaken) {
		v, err = p.lookAfterCreation(ctx, m)
	}
	made := errors.Is(err, errGone)
	if made {
		v, err = p.create(ctx, m, params)
	}
	if err != nil {
		return m, err
	}
	return p.settle(ctx, m, v, made)
}

// create sends the call, waits for its task and looks at the result.
func (p *Provider) create(ctx context.Context, m provider.Machine, params map[string]any) (vm, error) {
	err := p.api.patiently(ctx, m.Place+" disks", func() error {
		handle, err := p.api.post(ctx, "/nodes/"+m.Place+"/qemu", params)
		if err != nil {
			return err
		}
		return p.api.finish(ctx, handle, vmTask)
	})
	switch {
	case err == nil:
		return p.created(ctx, m)
	case !errors.Is(err, Exists):
		return vm{}, err
	}
	v, err := p.lookAfterCreation(ctx, m)
	if errors.Is(err, errGone) {
		return v, provider.ErrTaken // by a guest that the token may not see
	}
	if err != nil {
		return v, err
	}
	return v, p.tag(ctx, v, m.Tags)
}

// created reads what has been made, for the task may have ended well and the
// machine be another than was asked for. Tags are set meanwhile: the task was
// of our own making, and so is the machine.
func (p *Provider) created(ctx context.Context, m provider.Machine) (v vm, err error) {
	vmid, _ := strconv.Atoi(m.ID) // createParams has read it
	var tagged bool
	var tagging sync.WaitGroup
	tagging.Go(func() { tagged = p.setTags(ctx, vm{id: vmid, node: m.Place}, m.Tags) })
	v, err = p.read(ctx, m.Place, vmid)
	tagging.Wait()
	if err != nil || !v.belongsTo(m) {
		return p.look(ctx, m)
	}
	if tagged {
		v.config["tags"] = text(tags(m.Tags))
	}
	p.recent.keep(v)
	return v, nil
}

// lookAfterCreation waits for a creation of ours under that VMID, which may
// be that of a run that was killed: until it ends the machine has no mark and
// is in no pool.
func (p *Provider) lookAfterCreation(ctx context.Context, m provider.Machine) (vm, error) {
	if err := p.awaitCreation(ctx, m); err != nil {
		return vm{}, err
	}
	return p.look(ctx, m)
}

// look returns the virtual machine of m, errGone when there is none, or
// ErrTaken when there is somebody else's.
func (p *Provider) look(ctx context.Context, m provider.Machine) (vm, error) {
	all, err := p.guests(ctx)
	if err != nil {
		return vm{}, err
	}
	none := errGone
	for _, g := range all {
		sameID := strconv.Itoa(int(g.VMID)) == m.ID
		if !sameID && !p.maybe(g, m) {
			continue
		}
		v, err := p.mine(ctx, g, m)
		if !errors.Is(err, errForeign) {
			return v, err
		}
		if sameID {
			none = provider.ErrTaken
		}
	}
	return vm{}, none
}

// mine reads a guest and returns errForeign unless it is m's.
func (p *Provider) mine(ctx context.Context, g guest, m provider.Machine) (vm, error) {
	if g.Type != "qemu" {
		return vm{}, errForeign
	}
	v, err := p.read(ctx, string(g.Node), int(g.VMID))
	switch {
	case errors.Is(err, Forbidden), errors.Is(err, NotFound):
		return vm{}, errForeign
	case err != nil:
		return vm{}, err
	case !v.belongsTo(m):
		return vm{}, errForeign
	}
	return v, nil
}

// awaitCreation waits for a running qmcreate of ours under m's VMID. How it
// ends does not matter: the caller looks at what there is.
func (p *Provider) awaitCreation(ctx context.Context, m provider.Machine) error {
	token, err := p.token()
	if err != nil {
		return err
	}
	vmid, err := strconv.Atoi(m.ID)
	if err != nil || !nodeName.MatchString(m.Place) {
		return nil // never allocated, never begun
	}
	task, running, err := p.api.runningTask(ctx, m.Place, "qmcreate", token.id, vmid)
	if err != nil || !running {
		return err
	}
	return p.api.settled(ctx, task, vmTask)
}

// settle describes the machine. One that was made just now is off: nothing
// has started it.
func (p *Provider) settle(ctx context.Context, asked provider.Machine, v vm, made bool) (got provider.Machine, err error) {
	if made {
		got = v.machine()
		got.Power = provider.PowerOff
	} else if got, err = p.adopted(ctx, asked, v); err != nil {
		return got, err
	}
	got.Adrift = append(got.Adrift, differences(asked, got)...)
	return got, nil
}

// adopted takes a machine over, unless an earlier run is removing it still.
func (p *Provider) adopted(ctx context.Context, asked provider.Machine, v vm) (provider.Machine, error) {
	if err := p.awaitDestruction(ctx, v); err != nil {
		return asked, err
	}
	if err := p.tag(ctx, v, asked.Tags); err != nil {
		return asked, err
	}
	return p.describe(ctx, v)
}

// tag sets missing tags, which are for people. A refusal is no error: a
// datacenter may restrict tags, and nothing is decided by them.
func (p *Provider) tag(ctx context.Context, v vm, asked []string) error {
	want, have := tags(asked), tagList(v.config["tags"])
	if !slices.ContainsFunc(tagList(text(want)), func(t string) bool { return !slices.Contains(have, t) }) {
		return nil
	}
	if p.setTags(ctx, v, asked) {
		v.config["tags"] = text(want)
	}
	return context.Cause(ctx)
}

func (p *Provider) setTags(ctx context.Context, v vm, asked []string) bool {
	return p.api.put(ctx, v.path()+"/config", map[string]any{"tags": tags(asked)}) == nil
}
