package pve

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A machine is a VM. All of it is guarded by Server.mu.
type machine struct {
	id      int
	node    string
	pool    string
	ha      string // state of the HA resource, "" when it is none
	conf    map[string]string
	pending map[string]string // changes that wait for the next start
	deleted map[string]bool   // and deletions
	running bool
	started time.Time
	pid     int
	stats   stats
}

// stats is what /cluster/resources says, which the status daemon refreshes
// now and then.
type stats struct {
	status, name string
	due          time.Time // when the present state gets published; zero: it is
}

// A VMState is a VM as it stands.
type VMState struct {
	ID      int
	Node    string
	Name    string
	Pool    string
	Running bool
	Config  map[string]string
}

// VMs returns all VMs in the order of their IDs, foreign ones included.
func (s *Server) VMs() []VMState {
	s.mu.Lock()
	defer s.mu.Unlock()
	states := []VMState{}
	for _, id := range slices.Sorted(maps.Keys(s.vms)) {
		m := s.vms[id]
		states = append(states, VMState{id, m.node, m.conf["name"], m.pool, m.running, maps.Clone(m.conf)})
	}
	return states
}

// AddVM puts a VM into the datacentre as if somebody else had made it long
// ago. Its Config is taken as it is; a running one is not powered on.
func (s *Server) AddVM(v VMState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	conf := maps.Clone(v.Config)
	if conf == nil {
		conf = map[string]string{}
	}
	if v.Name != "" {
		conf["name"] = v.Name
	}
	node := v.Node
	if node == "" {
		node = s.cfg.Nodes[0]
	}
	m := newMachine(v.ID, node)
	m.pool, m.conf, m.running, m.started = v.Pool, conf, v.Running, time.Now()
	m.stats = stats{status: m.status(), name: m.name()}
	s.vms[v.ID] = m
}

// RemoveVM takes a virtual machine away, disks and all, as somebody at the
// console would. One that is not there is no error.
func (s *Server) RemoveVM(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.vms, id)
}

func newMachine(id int, node string) *machine {
	return &machine{id: id, node: node, conf: map[string]string{}, pending: map[string]string{}, deleted: map[string]bool{}}
}

func (m *machine) status() string {
	if m.running {
		return "running"
	}
	return "stopped"
}

func (m *machine) name() string {
	if name := m.conf["name"]; name != "" {
		return name
	}
	return fmt.Sprintf("VM %d", m.id)
}

// number reads a numeric option, or its default.
func (m *machine) number(option string, otherwise int) int {
	if n, err := strconv.Atoi(m.conf[option]); err == nil {
		return n
	}
	return otherwise
}

func (m *machine) cpus() int {
	return m.number("vcpus", m.number("sockets", 1)*m.number("cores", 1))
}

func (m *machine) memory() int {
	current, err := configParams["memory"].keys.parse("memory", m.conf["memory"])
	n, bad := strconv.Atoi(current["current"])
	if err != nil || bad != nil {
		return 512
	}
	return n
}

// digest is the SHA-1 over the configuration file.
func (m *machine) digest() string {
	h := sha1.New()
	for _, part := range []map[string]string{m.conf, m.pending} {
		for _, key := range slices.Sorted(maps.Keys(part)) {
			fmt.Fprintf(h, "%s: %s\n", key, part[key])
		}
		fmt.Fprintln(h, "[PENDING]")
	}
	for _, key := range slices.Sorted(maps.Keys(m.deleted)) {
		fmt.Fprintf(h, "delete: %s\n", key)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// find returns a VM that lives on the call's node; the error is that of a
// missing configuration file. The caller holds s.mu.
func (s *Server) find(node string, vmid int) (*machine, error) {
	if m := s.vms[vmid]; m != nil && m.node == node {
		return m, nil
	}
	return nil, die("Configuration file 'nodes/%s/qemu-server/%d.conf' does not exist", node, vmid)
}

// unlocked is an error while the configuration carries a lock. The caller
// holds s.mu.
func (m *machine) unlocked() error {
	if lock := m.conf["lock"]; lock != "" {
		return die("VM is locked (%s)", lock)
	}
	return nil
}

// publish notes that the state changed: the status daemon will see it at its
// next round. The caller holds s.mu.
func (s *Server) publish(m *machine) {
	m.stats = s.published(m)
	m.stats.due = time.Now().Add(s.cfg.Speed.Scale(s.cfg.Durations.Stats))
}

// published is what the status daemon last saw. The caller holds s.mu.
func (s *Server) published(m *machine) stats {
	if !s.online(m.node) {
		return stats{status: "unknown"} // its figures are too old
	}
	if m.stats.due.After(time.Now()) {
		return m.stats
	}
	return stats{status: m.status(), name: m.name()}
}

// hardware is the VM as the hypervisor starts it. The caller holds s.mu.
func (s *Server) hardware(m *machine) VM {
	v := VM{ID: m.id, Name: m.conf["name"], CPUs: m.cpus(), Memory: m.memory(), NICs: m.nics(), UEFI: m.conf["bios"] == "ovmf"}
	if smbios, err := smbiosKeys.parse("smbios1", m.conf["smbios1"]); err == nil {
		v.UUID, _ = uuid.Parse(smbios["uuid"])
	}
	for _, name := range driveNames {
		d, err := parseDrive(name, m.conf[name])
		switch {
		case err != nil || isFirmware(name):
		case d.cdrom() && v.CD == "":
			v.CD = s.cdPath(m.node, d)
		case d.cdrom():
		case v.Disk == 0 && d["size"] != "":
			v.Disk, v.Image = int(parseSize(d["size"])>>30), s.volumes[d["file"]].image
		}
	}
	v.Boot = m.bootOrder()
	return v
}

func (m *machine) nics() []NIC {
	var nics []NIC
	for i := range 32 {
		keys, err := netKeys.parse("net", m.conf[fmt.Sprintf("net%d", i)])
		if err != nil {
			continue // not configured
		}
		mac, _ := net.ParseMAC(keys["macaddr"])
		vlan, _ := strconv.Atoi(keys["tag"])
		nics = append(nics, NIC{mac, keys["bridge"], vlan})
	}
	return nics
}

// bootOrder resolves the boot option to "disk" and "cd", in order.
func (m *machine) bootOrder() []string {
	keys, _ := bootKeys.parse("boot", m.conf["boot"])
	var order []string
	for _, device := range splitList(keys["order"]) {
		d, err := parseDrive(device, m.conf[device])
		if !isDrive(device) || err != nil {
			continue
		}
		kind := "disk"
		if d.cdrom() {
			kind = "cd"
		}
		if !slices.Contains(order, kind) {
			order = append(order, kind)
		}
	}
	return order
}

// isFirmware says whether the drive holds what is no disk to the guest.
func isFirmware(name string) bool { return name == "efidisk0" || name == "tpmstate0" }

// defaultBoot is the boot order the server chooses: first disk, first CD,
// first network device.
func defaultBoot(conf map[string]string) string {
	var disk, cd, nic []string
	for _, name := range driveNames {
		d, err := parseDrive(name, conf[name])
		switch {
		case err != nil || isFirmware(name):
		case d.cdrom():
			cd = append(cd, name)
		default:
			disk = append(disk, name)
		}
	}
	for _, name := range numbered("net", 32) {
		if conf[name] != "" {
			nic = append(nic, name)
		}
	}
	first := func(l []string) []string { return l[:min(1, len(l))] }
	return "order=" + strings.Join(slices.Concat(first(disk), first(cd), first(nic)), ";")
}
