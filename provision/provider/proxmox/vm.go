package proxmox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
)

// Where things are in a virtual machine of ours.
const (
	diskSlot      = "scsi0"
	traySlot      = "ide2"
	emptyTray     = "none,media=cdrom"
	bootOrder     = "order=" + diskSlot + ";" + traySlot // an empty disk falls through to the CD
	defaultBridge = "vmbr0"
	ourTag        = "slipway"
	maxDisks      = 30 // beside the first: scsi1 to scsi30
	maxNICs       = 32
)

// slotOf is where the ith disk beside the first one is.
func slotOf(i int) string { return "scsi" + strconv.Itoa(i+1) }

// A guest is a line of GET /cluster/resources?type=vm. Name and status may
// be ten seconds old; the id and the node are as they are now.
type guest struct {
	VMID   number `json:"vmid"`
	Type   text   `json:"type"` // qemu, lxc: they share the ids
	Node   text   `json:"node"`
	Name   text   `json:"name"`
	Status text   `json:"status"`
	Pool   text   `json:"pool"`
	Tags   text   `json:"tags"`
}

// guests lists all guests that the token may see.
func (p *Provider) guests(ctx context.Context) ([]guest, error) {
	all, err := p.list.get(ctx)
	return slices.Clone(all), err
}

func (p *Provider) askGuests(ctx context.Context) (all []guest, err error) {
	err = p.api.get(ctx, "/cluster/resources?type=vm", &all)
	return all, err
}

// locate finds a guest by its id, wherever it is now.
func (p *Provider) locate(ctx context.Context, vmid int) (guest, bool, error) {
	all, err := p.guests(ctx)
	if err != nil {
		return guest{}, false, err
	}
	i := slices.IndexFunc(all, func(g guest) bool { return int(g.VMID) == vmid })
	if i < 0 {
		return guest{}, false, nil
	}
	return all[i], true, nil
}

// A vm is a virtual machine with its configuration.
type vm struct {
	id     int
	node   string
	config map[string]text
}

func (v vm) path() string { return fmt.Sprintf("/nodes/%s/qemu/%d", v.node, v.id) }

func (p *Provider) read(ctx context.Context, node string, vmid int) (vm, error) {
	v := vm{id: vmid, node: node}
	return v, p.api.get(ctx, v.path()+"/config", &v.config)
}

// owner says whose the machine is; a mark that names another id is a copy.
func (v vm) owner() (ownership, bool) {
	o, ok := parseDescription(string(v.config["description"]))
	return o, ok && o.vmid == v.id
}

func (v vm) belongsTo(m provider.Machine) bool {
	o, ok := v.owner()
	return ok && m.Mark.Owns(o.mark) && o.name == m.Name
}

var (
	errGone    = errors.New("it is gone")
	errForeign = errors.New("it does not carry this cluster's mark")
)

// owned returns the virtual machine of m after looking at its mark; every
// call that changes one goes through here. It follows a machine that was
// moved to another node.
func (p *Provider) owned(ctx context.Context, m provider.Machine) (vm, error) {
	vmid, err := strconv.Atoi(m.ID)
	if err != nil {
		return vm{}, fmt.Errorf("%q is not a VMID", m.ID)
	}
	v, err := p.readAnywhere(ctx, m.Place, vmid)
	if err != nil {
		return vm{}, fmt.Errorf("VM %d: %w", vmid, err)
	}
	if !v.belongsTo(m) {
		return v, hint.With(fmt.Errorf("VM %d: %w", vmid, errForeign),
			"it was not touched; look at its description in the web interface")
	}
	return v, nil
}

// readAnywhere tries the node where the machine was made first. To a token
// confined to a pool, gone looks like forbidden, and so does a machine that is
// being created: the list of guests decides, and is followed by a second look.
func (p *Provider) readAnywhere(ctx context.Context, place string, vmid int) (vm, error) {
	var before error
	if place != "" {
		v, err := p.read(ctx, place, vmid)
		if err == nil || !errors.Is(err, NotFound) && !errors.Is(err, Forbidden) && !errors.Is(err, Unavailable) {
			return v, err
		}
		before = err
	}
	g, there, err := p.locate(ctx, vmid)
	switch {
	case err != nil:
		return vm{}, err
	case !there:
		return vm{}, errGone
	case g.Type != "qemu":
		return vm{}, errForeign
	case string(g.Node) == place && !vanished(before):
		return vm{}, before
	}
	return p.read(ctx, string(g.Node), vmid)
}

// machine translates a configuration; Power is not part of it.
func (v vm) machine() provider.Machine {
	o, _ := v.owner()
	node, _, _ := strings.Cut(o.name, ".")
	m := provider.Machine{
		Node: node, Name: o.name, Mark: o.mark, ID: strconv.Itoa(v.id), Place: v.node,
		CPUs: v.count("cores") * v.count("sockets"), Memory: v.memory(), Disk: v.diskGiB(diskSlot), Disks: v.disks(),
		UUID: v.uuid(), NICs: v.nics(), Media: v.media(), Tags: tagList(v.config["tags"]),
	}
	m.Adrift = v.astray(o)
	return m
}

func (v vm) count(key string) int {
	n, err := strconv.Atoi(string(v.config[key]))
	if err != nil {
		return 1
	}
	return n
}

func (v vm) memory() int {
	props := properties(v.config["memory"])
	n, err := strconv.Atoi(props["current"] + props[""])
	if err != nil {
		return 512 // PVE's default
	}
	return n
}

func (v vm) uuid() uuid.UUID {
	id, err := uuid.Parse(properties(v.config["smbios1"])["uuid"])
	if err != nil {
		return uuid.Nil
	}
	return id
}

var sizeShape = regexp.MustCompile(`^(\d{1,12})([KMGT]?)$`)

// diskGiB rounds down; 0 when there is no disk or its size is not told.
func (v vm) diskGiB(slot string) int {
	m := sizeShape.FindStringSubmatch(properties(v.config[slot])["size"])
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	switch m[2] {
	case "T":
		return n << 10
	case "G":
		return n
	case "M":
		return n >> 10
	case "K":
		return n >> 20
	}
	return n >> 30
}

// disks are those beside the first.
func (v vm) disks() []int {
	var all []int
	for i := range maxDisks {
		if line, ok := v.config[slotOf(i)]; ok && properties(line)["media"] != "cdrom" {
			all = append(all, v.diskGiB(slotOf(i)))
		}
	}
	return all
}

func (v vm) media() string {
	image := properties(v.config[traySlot])[""]
	if image == "none" || image == "cdrom" {
		return ""
	}
	return image
}

func (v vm) nics() []provider.NIC {
	var nics []provider.NIC
	for i := range maxNICs {
		line, ok := v.config["net"+strconv.Itoa(i)]
		if !ok {
			continue
		}
		nics = append(nics, parseNIC(line))
	}
	return nics
}

// addresses are those that cloud-init gives to the machine.
func (v vm) addresses() []netip.Addr {
	var all []netip.Addr
	for i := range maxNICs {
		props := properties(v.config["ipconfig"+strconv.Itoa(i)])
		for _, key := range []string{"ip", "ip6"} {
			if prefix, err := netip.ParsePrefix(props[key]); err == nil {
				all = append(all, prefix.Addr())
			}
		}
	}
	return all
}

var nicModels = []string{"virtio", "e1000", "e1000e", "vmxnet3", "rtl8139", "macaddr"}

func parseNIC(line text) provider.NIC {
	props := properties(line)
	nic := provider.NIC{Bridge: props["bridge"]}
	nic.VLAN, _ = strconv.Atoi(props["tag"])
	nic.MTU, _ = strconv.Atoi(props["mtu"])
	for _, model := range nicModels {
		if mac, err := net.ParseMAC(props[model]); err == nil {
			nic.MAC = mac
		}
	}
	return nic
}

func tagList(s text) []string {
	return strings.FieldsFunc(string(s), func(r rune) bool { return r == ';' || r == ',' || r == ' ' })
}

// astray lists what was changed behind slipway's back, as far as the
// configuration alone tells.
func (v vm) astray(o ownership) []string {
	var found []string
	if name := string(v.config["name"]); name != o.name {
		found = append(found, fmt.Sprintf("it was renamed to %q", name))
	}
	if boot := string(v.config["boot"]); boot != bootOrder {
		found = append(found, fmt.Sprintf("its boot order is %q, not %q", boot, bootOrder))
	}
	if v.config[diskSlot] == "" {
		found = append(found, "it has no disk "+diskSlot)
	}
	if lock := v.config["lock"]; lock != "" {
		found = append(found, fmt.Sprintf("it is locked (%s)", lock))
	}
	return found
}

// What a difference is about, where it can be repaired.
const (
	aboutCPUs   = "vCPUs"
	aboutMemory = "memory in MiB"
)

// differences lists where got is not what was asked.
func differences(asked, got provider.Machine) []string {
	var found []string
	differ := func(what string, asked, got any) {
		if asked != got {
			found = append(found, fmt.Sprintf("%s: asked for %v, it has %v", what, asked, got))
		}
	}
	differ(aboutCPUs, asked.CPUs, got.CPUs)
	differ(aboutMemory, asked.Memory, got.Memory)
	differ("disk in GiB", asked.Disk, got.Disk)
	differ("further disks in GiB", fmt.Sprint(asked.Disks), fmt.Sprint(got.Disks))
	differ("SMBIOS UUID", asked.UUID, got.UUID)
	differ("network devices", nicList(asked.NICs), nicList(got.NICs))
	return found
}

// needsOff tells the differences that are repaired when a machine is off.
func needsOff(difference string) bool {
	return strings.HasPrefix(difference, aboutCPUs+":") || strings.HasPrefix(difference, aboutMemory+":")
}

func nicList(nics []provider.NIC) string {
	lines := make([]string, len(nics))
	for i, nic := range nics {
		lines[i] = nicLine(nic)
	}
	return strings.Join(lines, " ")
}
