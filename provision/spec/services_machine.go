package spec

import (
	"encoding/hex"
	"net/url"
	"path"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"
)

// A ServicesMachine is the machine that slipway makes for the services. Its
// Node has the identity that a node of the cluster would have under the name
// [ServicesName].
type ServicesMachine struct {
	Node
	Image CloudImage
	User  string    // whom cloud-init makes, and slipway logs in as
	Range hcl.Range // of the vm block, or of services without one
}

// ServicesName is the Name of the services machine. No node has it: theirs
// end in a hyphen and an index.
const ServicesName = "services"

// servicesUser is none that a distribution has.
const servicesUser = "slipway"

// A CloudImage is the disk image that a machine begins with. The zero value is
// the default one.
type CloudImage struct {
	URL    string // ends in .qcow2, .img or .raw
	SHA256 string // hex; "": SHA512SUMS beside it is asked, over https
}

// What a services machine has when the spec does not say, and has to have:
// the default image is a disk of 3 GiB.
const (
	servicesCPUs, servicesMemory, servicesDisk = 2, 2 << 10, 20
	leastMemory, leastDisk                     = 512, 4 // MiB, GiB
)

// Placed are all that get a machine: the nodes, and before them what the
// services run on, where that is one.
func (c Cluster) Placed() []Node {
	if c.Services.Machine == nil {
		return c.Nodes
	}
	return append([]Node{c.Services.Machine.Node}, c.Nodes...)
}

type rawServicesVM struct {
	CPUs   *hcl.Attribute `hcl:"cpus,optional"`
	Memory *hcl.Attribute `hcl:"memory,optional"`
	Disk   *hcl.Attribute `hcl:"disk,optional"`
	Image  *rawCloudImage `hcl:"image,block"`
	Range  hcl.Range      `hcl:",def_range"`
}

type rawCloudImage struct {
	URL    *hcl.Attribute `hcl:"url,optional"`
	SHA256 *hcl.Attribute `hcl:"sha256,optional"`
	Range  hcl.Range      `hcl:",def_range"`
}

// servicesMachine reads the vm block, which may be missing.
func (l *loader) servicesMachine(c *cluster, services *rawServices) {
	s, raw := &c.Services, services.VM
	if s.Mode != ServicesVM {
		if raw != nil && (services.Mode == nil || services.Mode.Range.Filename == raw.Range.Filename) {
			l.warnf(raw.Range, "Unused block", "The mode of the services is %q: no machine is made for them. Write mode = \"vm\", or remove the block.", s.Mode)
		}
		return
	}
	if raw == nil {
		raw = &rawServicesVM{Range: services.Range}
	}
	n := Node{Name: ServicesName, Full: ServicesName + "." + c.FullName(), Role: ServicesRole, CPUs: servicesCPUs, Memory: servicesMemory, Disk: servicesDisk,
		Address: s.Address, Range: raw.Range}
	n.MAC, n.UUID = macOf(n.Full, 0), uuidOf(n.Full)
	if cpus, ok := l.integer(raw.CPUs, 1, 1024, "2"); ok {
		n.CPUs = cpus
	}
	n.Memory = l.machineSize(raw.Memory, n.Memory, leastMemory, "MiB", `"2GiB"`)
	n.Disk = l.machineSize(raw.Disk, n.Disk, leastDisk, "GiB", `"20GiB"`)
	s.Machine = &ServicesMachine{Node: n, Image: l.cloudImage(raw.Image), User: servicesUser, Range: raw.Range}
	if c.Domain != "" {
		l.fits(n.Full, raw.Range)
	}
}

func (l *loader) machineSize(a *hcl.Attribute, or, least int, unit, example string) int {
	size, ok := l.size(a, unit, example)
	if !ok {
		return or
	}
	if size < least {
		l.errorf(a.Expr.Range(), "Not enough "+a.Name, "A services machine needs at least %d %s, and this is %d. Write %s.", least, unit, size, assign(a, example))
	}
	return size
}

const imageExample = `"https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-genericcloud-amd64.qcow2"`

var diskImages = []string{".qcow2", ".img", ".raw"}

// cloudImage reads the image block, which may be missing.
func (l *loader) cloudImage(raw *rawCloudImage) (i CloudImage) {
	if raw == nil || l.missing(raw.URL, raw.Range, "url", imageExample) {
		return i
	}
	i.URL, _ = l.text(raw.URL, imageExample)
	i.SHA256, _ = l.text(raw.SHA256, `"..."`)
	at := raw.URL.Expr.Range()
	u, err := url.Parse(i.URL)
	sum, bad := hex.DecodeString(i.SHA256)
	switch {
	case i.URL == "": // told
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		l.errorf(at, "Invalid image", "This is not the URL of an image. Write one that begins with https:// or http://, such as url = %s.", imageExample)
	case !slices.Contains(diskImages, path.Ext(u.Path)):
		l.errorf(at, "Invalid image", "%q is not a disk image by its name. Write the URL of one that ends in .qcow2, .img or .raw; others are compressed or of another kind.", path.Base(u.Path))
	case raw.SHA256 == nil && u.Scheme == "http":
		l.errorf(at, "Unchecked image", "Over http anybody on the way can replace the image. Write sha256 beside its url, or one that begins with https://.")
	}
	if raw.SHA256 != nil && (bad != nil || len(sum) != 32) {
		l.errorf(raw.SHA256.Expr.Range(), "Invalid digest", "%q is not a SHA-256 digest. Write 64 hex digits, as sha256sum prints them.", i.SHA256)
	}
	return i
}

// standMachine finds the network that the services machine stands in: the
// cluster's own, or another one that has its address.
func (c *cluster) standMachine(nets []*network) {
	m := c.Services.Machine
	if m == nil {
		return
	}
	if c.network != nil && c.network.CIDR.Contains(m.Address) {
		m.Network = c.network.Network
		return
	}
	if i := slices.IndexFunc(nets, func(n *network) bool { return n.CIDR.Contains(m.Address) }); i >= 0 {
		m.Network = nets[i].Network
	}
}

// checkServicesMachine wants the machine to stand in a network that leads out
// of itself.
func (l *loader) checkServicesMachine(c *cluster) {
	m := c.Services.Machine
	if m == nil || !m.Address.IsValid() || !c.Network.CIDR.IsValid() {
		return
	}
	at := slices.IndexFunc(l.nets, func(n *network) bool { return n.Label == m.Network.Label })
	switch {
	case at < 0:
		l.errorf(c.Services.Range, "Invalid services address", "%s is in none of the networks, and a machine has to stand in one. Write a free address in %s.", m.Address, c.Network.CIDR)
		return
	case !c.Network.CIDR.Contains(m.Address):
		if why := m.Network.unfit(m.Address); why != "" {
			l.errorf(c.Services.Range, "Invalid services address", "%s %s. Write a free address in %s.", m.Address, why, m.Network.CIDR)
		}
	}
	l.wantGateway(l.nets[at])
}

func (c *cluster) servicesMachineDefaults() {
	m := c.Services.Machine
	if m == nil {
		return
	}
	raw := c.raw.Services.VM
	if raw == nil {
		raw = &rawServicesVM{}
	}
	const of = "services vm"
	c.left(raw.CPUs, of, "cpus", strconv.Itoa(servicesCPUs), "TLS is passed through, which costs little", m.Range)
	c.left(raw.Memory, of, "memory", `"2GiB"`, "that is enough for a system with haproxy", m.Range)
	c.left(raw.Disk, of, "disk", `"20GiB"`, "that is room for packages and logs", m.Range)
	if raw.Image == nil {
		c.left(nil, of, "image", "Debian 12", "that is what services hosts are tested with", m.Range)
	}
}
