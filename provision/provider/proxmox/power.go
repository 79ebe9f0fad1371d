package proxmox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-project/slipway/provision/provider"
)

// settling is how long a machine may take to be in a state whose task has
// ended: with HA the task only files a request.
const settling = time.Minute

// PowerOn starts m's virtual machine.
func (p *Provider) PowerOn(ctx context.Context, m provider.Machine) error {
	return p.toPower(ctx, m, provider.PowerOn, p.start)
}

// PowerOff cuts the power at once. An ACPI shutdown would wait for an agent
// or a system that may not be there.
func (p *Provider) PowerOff(ctx context.Context, m provider.Machine) error {
	return p.toPower(ctx, m, provider.PowerOff, p.stop)
}

func (p *Provider) toPower(ctx context.Context, m provider.Machine, want provider.Power, change func(context.Context, vm) error) error {
	v, err := p.owned(ctx, m)
	if err == nil {
		err = p.drive(ctx, v, want, change)
	}
	if err != nil {
		return fmt.Errorf("power %s machine %s: %w", want, m.Name, err)
	}
	return nil
}

// drive brings v to a power state: it looks, acts, and looks again.
func (p *Provider) drive(ctx context.Context, v vm, want provider.Power, change func(context.Context, vm) error) error {
	now, err := p.power(ctx, v)
	if err != nil || now == want {
		return err
	}
	if err := change(ctx, v); err != nil {
		return err
	}
	return p.until(ctx, v, want)
}

func (p *Provider) until(ctx context.Context, v vm, want provider.Power) error {
	limit := p.pace.Budget(settling)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("VM %d is not %s after %s", v.id, want, limit))
	defer cancel()
	for {
		now, err := p.power(ctx, v)
		if err != nil || now == want {
			return err
		}
		if err := p.pace.Wait(ctx, time.Second); err != nil {
			return err
		}
	}
}

func (p *Provider) start(ctx context.Context, v vm) error {
	err := p.status(ctx, v, "start", nil)
	if errors.Is(err, AlreadyRunning) {
		return nil
	}
	return err
}

// stop overrules a shutdown that somebody began and that hangs. Proxmox VE
// before 8.2 does not know the parameter.
func (p *Provider) stop(ctx context.Context, v vm) error {
	err := p.status(ctx, v, "stop", map[string]any{"overrule-shutdown": true})
	if errors.Is(err, ParamInvalid) {
		err = p.status(ctx, v, "stop", nil)
	}
	if errors.Is(err, NotRunning) {
		return nil
	}
	return err
}

func (p *Provider) status(ctx context.Context, v vm, change string, params map[string]any) error {
	return p.api.surely(ctx, func() error {
		handle, err := p.api.post(ctx, v.path()+"/status/"+change, params)
		if err != nil {
			return err
		}
		return p.api.finish(ctx, handle, vmTask)
	})
}

// power asks the machine's node: the list of guests may be ten seconds old.
func (p *Provider) power(ctx context.Context, v vm) (provider.Power, error) {
	var now struct {
		Status text `json:"status"`
	}
	if err := p.api.get(ctx, v.path()+"/status/current", &now); err != nil {
		return provider.PowerUnknown, err
	}
	switch now.Status {
	case "running":
		return provider.PowerOn, nil
	case "stopped":
		return provider.PowerOff, nil
	}
	return provider.PowerUnknown, nil
}
