package rehearsal

import (
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/rehearsal/guest"
	"github.com/slipway-project/slipway/rehearsal/image"
	"github.com/slipway-project/slipway/rehearsal/node"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

// A reality is what all virtual machines of a World have in common.
type reality struct {
	MachinesConfig
	wires *wires
	open  []netip.AddrPort // where wires end
	slots chan struct{}    // holds one for each machine that boots
}

func (w *World) startReality() error {
	if w.cfg.Machines == nil {
		return nil
	}
	w.real = &reality{MachinesConfig: *w.cfg.Machines, wires: newWires(w.site), slots: make(chan struct{}, runtime.NumCPU())}
	w.later(w.real.wires.Close)
	return nil
}

// imageWriter writes what virtual machines boot that an installer installs; nil
// where there are none.
func (w *World) imageWriter(installer endpoint) (func(path string, d node.Discovery) error, error) {
	if w.real == nil {
		return nil, nil
	}
	site, err := w.openWire(installer)
	if err != nil {
		return nil, err
	}
	world, err := json.Marshal(guest.World{Site: site, Speed: w.cfg.Speed, Machines: w.real.Known})
	if err != nil {
		return nil, err
	}
	return func(path string, d node.Discovery) error {
		config, err := d.Ignition()
		if err != nil {
			return err
		}
		return image.Base{Dir: w.real.Image}.Write(w.ctx, path, map[string][]byte{node.IgnitionISO: config, guest.WorldISO: world})
	}, nil
}

// A vmRack holds virtual machines. It is safe for concurrent use.
type vmRack struct {
	bay
	real *reality
	dir  string // of a directory for each machine

	mu       sync.Mutex
	machines map[int]*virtual
}

func newVMRack(b bay, real *reality, dir string) *vmRack {
	return &vmRack{bay: b, real: real, dir: dir, machines: map[int]*virtual{}}
}

// PowerOn boots vm. A bridge that does not exist is the hypervisor's error;
// what goes wrong later, the machine's.
func (r *vmRack) PowerOn(vm pve.VM) error {
	if len(vm.NICs) == 0 {
		return errors.New("there is no rehearsal with a virtual machine that has no network")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.machines[vm.ID]
	if v == nil {
		v = &virtual{rack: r, dir: filepath.Join(r.dir, strconv.Itoa(vm.ID))}
		r.machines[vm.ID] = v
	}
	v.off()
	return v.on(vm)
}

// plug makes the cables of a machine.
func (r *vmRack) plug(nics []pve.NIC) (taps []*netlab.Tap, err error) {
	for _, nic := range nics {
		t, err := r.cable(nic)
		if err != nil {
			return nil, errors.Join(err, closeAll(taps))
		}
		taps = append(taps, t)
	}
	return taps, nil
}

func (r *vmRack) cable(nic pve.NIC) (*netlab.Tap, error) {
	segment, err := r.segment(nic)
	if err != nil {
		return nil, err
	}
	return r.lab.AddTap(segment)
}

func closeAll(taps []*netlab.Tap) error {
	var errs []error
	for _, t := range taps {
		errs = append(errs, t.Close())
	}
	return errors.Join(errs...)
}

// PowerOff cuts the power of a machine.
func (r *vmRack) PowerOff(vmid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.machines[vmid]; v != nil {
		v.off()
	}
}

// Media puts another image into the CD tray of a machine.
func (r *vmRack) Media(vmid int, path string) {
	r.mu.Lock()
	v := r.machines[vmid]
	r.mu.Unlock()
	if v != nil {
		v.media(path)
	}
}

// Destroy forgets a machine and its disk.
func (r *vmRack) Destroy(vmid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.machines[vmid]; v != nil {
		v.off()
		v.fail(os.RemoveAll(v.dir))
		delete(r.machines, vmid)
	}
}

// close switches everything off.
func (r *vmRack) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.machines {
		v.off()
	}
	return nil
}

func (r *vmRack) hosts() []Host {
	r.mu.Lock()
	defer r.mu.Unlock()
	var hosts []Host
	for _, id := range slices.Sorted(maps.Keys(r.machines)) {
		hosts = append(hosts, r.machines[id].describeHost(r.url))
	}
	return hosts
}

func (v *virtual) describeHost(url string) Host {
	v.mu.Lock()
	defer v.mu.Unlock()
	return newHost(url, v.vm, v.state)
}
