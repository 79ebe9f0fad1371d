package rehearsal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/rehearsal/guest"
	"github.com/slipway-project/slipway/rehearsal/node"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

// bootTime is how long a machine may keep others from starting.
const bootTime = 20 * time.Second

// A virtual is a machine that boots a real kernel in a QEMU of its own. While it
// is on, a goroutine runs it.
type virtual struct {
	rack *vmRack
	dir  string

	mu      sync.Mutex
	vm      pve.VM
	running *qemu.Running // nil: off, or about to start
	said    chan struct{} // closed when its guest has spoken, once a boot
	state   node.HostState

	cut  context.CancelFunc
	done chan struct{} // closed when it is off
}

// on starts vm, whose tray, boot order and NICs may have changed since it ran.
func (v *virtual) on(vm pve.VM) error {
	if err := os.MkdirAll(v.dir, 0o700); err != nil {
		return err
	}
	if err := errors.Join(v.makeDisk(vm.Disk > 0), v.makeVars(vm.UEFI)); err != nil {
		return err
	}
	taps, err := v.rack.plug(vm.NICs)
	if err != nil {
		return err
	}
	v.rack.real.wires.follow(vm.UUID, v.tell)
	ctx, cut := context.WithCancel(context.Background())
	v.cut, v.done = cut, make(chan struct{})
	v.set(func(s *node.HostState) {
		v.vm = vm
		*s = node.HostState{Phase: node.PhaseFirmware, Boots: s.Boots}
	})
	go func() {
		defer close(v.done)
		v.fail(v.run(ctx, taps))
		v.fail(closeAll(taps))
	}()
	return nil
}

func (v *virtual) makeDisk(wanted bool) error {
	if !wanted {
		return nil
	}
	f, err := os.OpenFile(v.disk(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(guest.DiskSize), f.Close())
}

// makeVars gives the machine variables of its own, which its firmware writes
// boot entries to.
func (v *virtual) makeVars(wanted bool) error {
	if _, err := os.Stat(v.vars()); !wanted || err == nil {
		return nil
	}
	template, err := os.ReadFile(v.rack.real.Firmware.Vars)
	if err != nil {
		return fmt.Errorf("UEFI firmware: %w", err)
	}
	return os.WriteFile(v.vars(), template, 0o600)
}

func (v *virtual) vars() string { return filepath.Join(v.dir, "vars.fd") }

func (v *virtual) disk() string { return filepath.Join(v.dir, "disk.raw") }

// run runs the machine until ctx ends, or it ends for another reason than a
// reset.
func (v *virtual) run(ctx context.Context, taps []*netlab.Tap) error {
	for {
		end, err := v.boot(ctx, taps)
		v.rack.site.Lost(v.vm.UUID.String())
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case end.Reason != qemu.GuestReset && end.Reason != qemu.GuestPanic:
			return fmt.Errorf("the machine ended: %w", cmp.Or(end.Err, errors.New(string(end.Reason))))
		}
	}
}

// boot runs one process of QEMU. No more machines boot at once than there are
// processors: together they would take as long, and each of them longer.
func (v *virtual) boot(ctx context.Context, taps []*netlab.Tap) (end qemu.End, err error) {
	select {
	case v.rack.real.slots <- struct{}{}:
	case <-ctx.Done():
		return end, ctx.Err()
	}
	leave := sync.OnceFunc(func() { <-v.rack.real.slots })
	defer leave()
	said := make(chan struct{})
	running, err := qemu.Start(ctx, v.describe(said), descriptors(taps)...)
	if err != nil {
		return end, err
	}
	v.started(running)
	defer v.started(nil)
	timer := time.NewTimer(bootTime)
	defer timer.Stop()
	for {
		select {
		case <-said:
			said = nil
			leave()
		case <-timer.C:
			leave()
		case <-running.Ended():
			return running.End(), nil
		case <-ctx.Done():
			running.Kill()
			return end, nil
		}
	}
}

func descriptors(taps []*netlab.Tap) (files []*os.File) {
	for _, t := range taps {
		files = append(files, t.File())
	}
	return files
}

func (v *virtual) started(r *qemu.Running) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.running = r
}

// describe is the machine as it is started next: what is in its tray now.
func (v *virtual) describe(said chan struct{}) qemu.VM {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.said = said
	v.state = node.HostState{Phase: node.PhaseFirmware, Boots: v.state.Boots + 1}
	spec := guest.Spec{Name: v.vm.Name, CPUs: v.vm.CPUs, Memory: v.vm.Memory, Disk: v.vm.Disk, Boot: v.vm.Boot}
	q := qemu.VM{
		Name: v.vm.Name, UUID: v.vm.UUID, Mark: spec.OEMString(), CPUs: 1, Memory: v.rack.real.Memory, Accel: v.rack.real.Accel,
		Media: v.vm.CD, Dir: v.dir,
	}
	if v.vm.UEFI {
		q.Firmware = qemu.Firmware{Code: v.rack.real.Firmware.Code, Vars: v.vars()}
	}
	if v.vm.Disk > 0 {
		q.Disks = []qemu.Disk{{Path: v.disk(), Format: "raw", Volatile: true}}
	}
	for i, nic := range v.vm.NICs {
		q.NICs = append(q.NICs, qemu.NIC{MAC: nic.MAC, FD: firstFD + i})
	}
	return q
}

// firstFD is the first descriptor that a process inherits besides the standard
// ones.
const firstFD = 3

// tell takes what the guest says of itself.
func (v *virtual) tell(state node.HostState) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.running == nil {
		return // the last words of one that is gone
	}
	if v.said != nil {
		close(v.said)
		v.said = nil
	}
	state.Boots = v.state.Boots
	v.state = state
}

func (v *virtual) set(change func(*node.HostState)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.state)
}

// fail says why the machine does not get on.
func (v *virtual) fail(err error) {
	if err != nil {
		v.set(func(s *node.HostState) { s.Stuck = err.Error() })
	}
}

// off cuts the power, and returns when the machine is gone.
func (v *virtual) off() {
	if v.cut == nil {
		return
	}
	v.cut()
	<-v.done
	v.cut = nil
	v.set(func(s *node.HostState) { *s = node.HostState{Phase: node.PhaseOff, Boots: s.Boots} })
}

// media puts another image into the tray, "" for none.
func (v *virtual) media(path string) {
	v.mu.Lock()
	v.vm.CD = path
	running := v.running
	v.mu.Unlock()
	if running == nil {
		return // it starts with what is there then
	}
	ctx, cancel := context.WithTimeout(context.Background(), mediaTime)
	defer cancel()
	if path == "" {
		v.fail(running.Eject(ctx))
	} else {
		v.fail(running.Insert(ctx, path))
	}
}

// mediaTime is how long a tray may take.
const mediaTime = 10 * time.Second
