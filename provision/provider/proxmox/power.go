package proxmox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
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

// A powerChange brings a machine to a power state. asked says that it was
// only asked for, and has to be looked after.
type powerChange func(context.Context, vm) (asked bool, err error)

func (p *Provider) toPower(ctx context.Context, m provider.Machine, want provider.Power, change powerChange) (err error) {
	v, made := p.recent.get(m)
	p.recent.forget(v)
	if made {
		err = p.drive(ctx, v, want, change)
	}
	if !made || vanished(err) { // or moved
		err = p.lookAndDrive(ctx, m, want, change)
	}
	if err != nil {
		return fmt.Errorf("power %s machine %s: %w", want, m.Name, err)
	}
	return nil
}

func (p *Provider) lookAndDrive(ctx context.Context, m provider.Machine, want provider.Power, change powerChange) error {
	v, now, err := p.ownedWithPower(ctx, m)
	if err != nil || now == want {
		return err
	}
	return p.drive(ctx, v, want, change)
}

// ownedWithPower asks for both at once, and again where m is not where it
// was made.
func (p *Provider) ownedWithPower(ctx context.Context, m provider.Machine) (v vm, now provider.Power, err error) {
	var unasked error
	var both sync.WaitGroup
	both.Go(func() { v, err = p.owned(ctx, m) })
	both.Go(func() {
		vmid, bad := strconv.Atoi(m.ID)
		if unasked = errGone; bad == nil && nodeName.MatchString(m.Place) {
			now, unasked = p.power(ctx, vm{id: vmid, node: m.Place})
		}
	})
	both.Wait()
	if err == nil && (unasked != nil || v.node != m.Place) {
		now, err = p.power(ctx, v)
	}
	return v, now, err
}

// drive brings v to a power state, and looks whether it is there unless the
// task that did it is one that ends well only then.
func (p *Provider) drive(ctx context.Context, v vm, want provider.Power, change powerChange) error {
	asked, err := change(ctx, v)
	if err != nil || !asked {
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

func (p *Provider) start(ctx context.Context, v vm) (asked bool, err error) {
	asked, err = p.status(ctx, v, "start", nil)
	if errors.Is(err, AlreadyRunning) {
		return true, nil
	}
	return asked, err
}

// stop overrules a shutdown that somebody began and that hangs. Proxmox VE
// before 8.2 does not know the parameter.
func (p *Provider) stop(ctx context.Context, v vm) (asked bool, err error) {
	asked, err = p.status(ctx, v, "stop", map[string]any{"overrule-shutdown": true})
	if errors.Is(err, ParamInvalid) {
		asked, err = p.status(ctx, v, "stop", nil)
	}
	if errors.Is(err, NotRunning) {
		return true, nil
	}
	return asked, err
}

// status changes the power. The tasks of HA (hastart, hastop) only file a
// request, and one with warnings may have left something undone.
func (p *Provider) status(ctx context.Context, v vm, change string, params map[string]any) (asked bool, err error) {
	err = p.api.surely(ctx, v.node, func() error {
		handle, err := p.api.post(ctx, v.path()+"/status/"+change, params)
		if err != nil {
			return err
		}
		ended, err := p.api.complete(ctx, handle, vmTask)
		asked = ended.kind != "qm"+change || ended.warned
		return err
	})
	return asked, err
}

// power asks the machine's node: the list of guests may be ten seconds old.
func (p *Provider) power(ctx context.Context, v vm) (provider.Power, error) {
	states, err := p.running.at(p.api, v.node).get(ctx)
	state, there := states[v.id]
	if err == nil && !there {
		err = fmt.Errorf("VM %d: %w", v.id, errGone)
	}
	return state, err
}

// lists has the power of all virtual machines of a node in one call, since
// those who want to know mostly do at the same time.
type lists struct {
	mu sync.Mutex
	of map[string]*shared[map[int]provider.Power]
}

func (l *lists) at(c *client, node string) *shared[map[int]provider.Power] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = make(map[string]*shared[map[int]provider.Power])
	}
	if l.of[node] == nil {
		l.of[node] = &shared[map[int]provider.Power]{fetch: func(ctx context.Context) (map[int]provider.Power, error) {
			return c.powers(ctx, node)
		}}
	}
	return l.of[node]
}

func (c *client) powers(ctx context.Context, node string) (map[int]provider.Power, error) {
	var all []struct {
		VMID   number `json:"vmid"`
		Status text   `json:"status"`
	}
	if err := c.get(ctx, "/nodes/"+node+"/qemu", &all); err != nil {
		return nil, err
	}
	states := make(map[int]provider.Power, len(all))
	for _, v := range all {
		states[int(v.VMID)] = map[text]provider.Power{"running": provider.PowerOn, "stopped": provider.PowerOff}[v.Status]
	}
	return states, nil
}
