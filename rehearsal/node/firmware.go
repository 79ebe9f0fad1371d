package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"
)

// A boot runs a system until it reboots (nil) or the power is cut.
type boot func(ctx context.Context) error

// errNoBoot is what a firmware shows that has walked its boot order in vain.
var errNoBoot = errors.New("no bootable device")

// run is the host from power-on until ctx ends.
func (h *Host) run(ctx context.Context) {
	for ctx.Err() == nil {
		h.update(func(s *HostState) { s.Phase, s.Addresses, s.Hostname = PhaseFirmware, nil, "" })
		if h.startup(ctx, postTime) != nil {
			return
		}
		start, err := h.findBoot()
		h.stuck(err)
		if err != nil {
			h.hw.Speed.Sleep(ctx, bootRetry)
			continue
		}
		h.update(func(s *HostState) { s.Boots++ })
		h.session(ctx, start)
		if h.hw.Reset != nil && ctx.Err() == nil {
			h.hw.Reset()
			return
		}
	}
}

// startup takes a simulated machine's time for firmware or kernel. Those of a
// real one have taken theirs.
func (h *Host) startup(ctx context.Context, d time.Duration) error {
	if h.hw.Reset != nil {
		return ctx.Err()
	}
	return h.hw.Speed.Sleep(ctx, d)
}

// session runs one system; everything it started has ended when it returns,
// and the network knows its addresses no more.
func (h *Host) session(ctx context.Context, start boot) {
	ctx, end := context.WithCancel(ctx)
	defer h.eachLink(func(l Link) error { return l.Configure(nil, netip.Addr{}, 0) })
	defer end()
	if err := start(ctx); err != nil {
		h.stuck(err)
		<-ctx.Done() // a system that cannot go on sits there until the power is cut
	}
}

// findBoot walks the boot order. An image that does not boot is passed over,
// as firmware does, and named if nothing else boots.
func (h *Host) findBoot() (boot, error) {
	var why error
	for _, device := range h.hw.Boot {
		switch start, err := h.tryBoot(device); {
		case start != nil:
			return start, nil
		case err != nil:
			why = errors.Join(why, err)
		}
	}
	if why != nil {
		return nil, fmt.Errorf("%w: %w", errNoBoot, why)
	}
	return nil, errNoBoot
}

func (h *Host) tryBoot(device string) (boot, error) {
	switch device {
	case "disk":
		if h.hw.Disk == nil || h.hw.Disk.System() == nil {
			return nil, nil
		}
		return h.bootDisk, nil
	case "cd":
		return h.tryCD()
	}
	return nil, fmt.Errorf("unknown boot device %q", device)
}

func (h *Host) tryCD() (boot, error) {
	path := h.media()
	if path == "" {
		return nil, nil
	}
	image, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("CD: %w", err)
	}
	defer image.Close()
	d, err := ReadISO(image)
	if err != nil {
		return nil, fmt.Errorf("CD: %w", err)
	}
	return func(ctx context.Context) error { return h.bootLive(ctx, d) }, nil
}

// A group is the processes of a running system: they end with it.
type group struct {
	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup
}

func newGroup(ctx context.Context) *group {
	g := &group{}
	g.ctx, g.end = context.WithCancel(ctx)
	return g
}

// spawn runs f with a context that ends with the system.
func (g *group) spawn(f func(ctx context.Context)) { g.running.Go(func() { f(g.ctx) }) }

// stop ends all processes and waits for them.
func (g *group) stop() {
	g.end()
	g.running.Wait()
}
