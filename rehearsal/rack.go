package rehearsal

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/rehearsal/node"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

// Machines are those of one hypervisor: what [pve.Server] starts and stops.
type machines interface {
	pve.Hypervisor
	hosts() []Host
	close() error // switches everything off
}

// A bay is where the machines of one hypervisor stand.
type bay struct {
	url     string
	bridges []string
	lab     *netlab.Lab
	site    *node.Site
	speed   pace.Pace
}

// segment is the wire that a NIC is cabled to; it need not be in any network.
func (b bay) segment(nic pve.NIC) (string, error) {
	if !slices.Contains(b.bridges, nic.Bridge) {
		return "", fmt.Errorf("bridge '%s' does not exist", nic.Bridge)
	}
	segment := segmentName(nic.Bridge, nic.VLAN)
	return segment, b.lab.AddSegment(segment)
}

// A rack holds simulated machines. It is safe for concurrent use.
type rack struct {
	bay

	mu       sync.Mutex
	machines map[int]*machine
}

// A machine is one that was switched on at least once. Its disk stays; its
// host and cables are new each time, as a kernel is that boots.
type machine struct {
	vm    pve.VM
	disk  *node.Disk
	host  *node.Host // nil: off, or it runs the foreign image on its disk
	ports []*netlab.Port
}

// foreign reports whether the machine runs the image that its disk was
// imported from: it boots, and nobody is there. Whoever plays it does so behind
// its NICs, whose cables are plugged in.
func (m *machine) foreign() bool { return m.vm.Image != "" && m.ports != nil }

func newRack(b bay) *rack { return &rack{bay: b, machines: map[int]*machine{}} }

// PowerOn boots vm. A bridge that does not exist is the hypervisor's error.
func (r *rack) PowerOn(vm pve.VM) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.machines[vm.ID]
	if m == nil {
		m = &machine{disk: &node.Disk{}}
		r.machines[vm.ID] = m
	}
	m.off()
	ports, err := r.plug(vm.NICs)
	if err != nil {
		return err
	}
	m.vm, m.ports = vm, ports
	if m.foreign() {
		return m.plugIn()
	}
	m.host = node.New(m.hardware(r.speed), r.site)
	if err := m.host.PowerOn(vm.CD); err != nil {
		return errors.Join(err, m.off())
	}
	return nil
}

func (r *rack) plug(nics []pve.NIC) ([]*netlab.Port, error) {
	ports := []*netlab.Port{} // of a machine that is on, never nil
	for _, nic := range nics {
		port, err := r.cable(nic)
		if err != nil {
			return nil, errors.Join(err, unplug(ports))
		}
		ports = append(ports, port)
	}
	return ports, nil
}

// cable connects a NIC to its wire.
func (r *rack) cable(nic pve.NIC) (*netlab.Port, error) {
	segment, err := r.segment(nic)
	if err != nil {
		return nil, err
	}
	return r.lab.AddMachine(segment, nic.MAC)
}

func (m *machine) plugIn() error {
	var errs []error
	for _, p := range m.ports {
		errs = append(errs, p.Up())
	}
	return errors.Join(errs...)
}

func unplug(ports []*netlab.Port) error {
	var errs []error
	for _, p := range ports {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

func (m *machine) hardware(speed pace.Pace) node.Hardware {
	hw := node.Hardware{
		Name: m.vm.Name, UUID: m.vm.UUID, CPUs: m.vm.CPUs, Memory: m.vm.Memory,
		Disk: m.disk, DiskSize: m.vm.Disk, Boot: m.vm.Boot, Speed: speed,
	}
	if m.vm.Disk == 0 {
		hw.Disk = nil
	}
	for i, nic := range m.vm.NICs {
		hw.NICs = append(hw.NICs, node.NIC{Name: node.InterfaceName(i), MAC: nic.MAC, Link: m.ports[i]})
	}
	return hw
}

// off cuts the power.
func (m *machine) off() error {
	if m.host != nil {
		m.host.PowerOff()
	}
	err := unplug(m.ports)
	m.host, m.ports = nil, nil
	return err
}

// PowerOff cuts the power of a machine.
func (r *rack) PowerOff(vmid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.machines[vmid]; m != nil {
		m.off()
	}
}

// Media puts another image into the CD tray of a machine.
func (r *rack) Media(vmid int, path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.machines[vmid]; m != nil && m.host != nil {
		m.vm.CD = path
		m.host.SetMedia(path)
	}
}

// Destroy forgets a machine and its disk.
func (r *rack) Destroy(vmid int) {
	r.PowerOff(vmid)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.machines, vmid)
}

// close switches everything off.
func (r *rack) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, m := range r.machines {
		errs = append(errs, m.off())
	}
	return errors.Join(errs...)
}

// A Host is a simulated machine as a person in front of it sees it.
type Host struct {
	Hypervisor string         `json:"hypervisor"` // URL
	VMID       int            `json:"vmid"`
	Name       string         `json:"name"`
	MACs       []string       `json:"macs"`
	CD         string         `json:"cd,omitempty"` // path of the image in the tray
	State      node.HostState `json:"state"`
}

// Hosts lists the machines that were ever switched on and not destroyed, and
// those of other hypervisors that speak.
func (w *World) Hosts() []Host {
	hosts := []Host{} // [] in JSON, not null
	for _, d := range w.datacentres {
		hosts = append(hosts, d.rack.hosts()...)
	}
	if w.real != nil {
		hosts = append(hosts, w.real.wires.hosts(w.real.Known)...)
	}
	return hosts
}

func (r *rack) hosts() []Host {
	r.mu.Lock()
	defer r.mu.Unlock()
	var hosts []Host
	for _, id := range slices.Sorted(maps.Keys(r.machines)) {
		hosts = append(hosts, r.machines[id].describe(r.url))
	}
	return hosts
}

func (m *machine) describe(url string) Host {
	state := node.HostState{Phase: node.PhaseOff}
	switch {
	case m.host != nil:
		state = m.host.State()
	case m.foreign():
		state.Phase = node.PhaseBooted
	}
	return newHost(url, m.vm, state)
}

func newHost(url string, vm pve.VM, state node.HostState) Host {
	h := Host{Hypervisor: url, VMID: vm.ID, Name: vm.Name, CD: vm.CD, State: state}
	for _, nic := range vm.NICs {
		h.MACs = append(h.MACs, nic.MAC.String())
	}
	return h
}
