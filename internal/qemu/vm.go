package qemu

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/process"
)

// Program is the emulator.
const Program = "qemu-system-x86_64"

// A VM is one virtual machine, described in full. Equal VMs have equal
// arguments.
type VM struct {
	Name     string    `json:"name"` // full name, shown by ps: control-0.mycluster.lab.test
	UUID     uuid.UUID `json:"uuid"` // SMBIOS UUID, the installer's host id
	Mark     string    `json:"mark"` // whose it is: an SMBIOS OEM string
	CPUs     int       `json:"cpus"`
	Memory   int       `json:"memory"` // MiB
	Accel    Accel     `json:"accel"`
	Firmware Firmware  `json:"firmware"` // zero: BIOS
	Disks    []Disk    `json:"disks"`    // the first is booted from
	Media    string    `json:"media"`    // path of the ISO image in the CD tray, "" for none
	NICs     []NIC     `json:"nics"`
	Dir      string    `json:"dir"` // of its sockets and its serial log
}

// An Accel is what executes the guest's instructions.
type Accel string

// The accelerators. TCG translates: anywhere, and ten times slower.
const (
	KVM Accel = "kvm"
	TCG Accel = "tcg"
)

// A Disk is one virtio disk.
type Disk struct {
	Path   string `json:"path"`
	Format string `json:"format"` // raw or qcow2
	// Volatile leaves out flushes: for machines whose disks nobody will miss.
	Volatile bool `json:"volatile,omitempty"`
}

// A NIC is one virtio network device.
type NIC struct {
	MAC net.HardwareAddr `json:"mac"`
	// Tap is the name of a tap interface that exists already; "" is QEMU's own
	// user network, in which no other machine can be reached.
	Tap string `json:"tap,omitempty"`
	// FD is the descriptor of that tap when it is opened already and handed to
	// [Start]: 3 for the first. 0: QEMU opens it by its name, for which it needs
	// CAP_NET_ADMIN.
	FD  int `json:"fd,omitempty"`
	MTU int `json:"mtu,omitempty"` // 0: not told to the guest
}

// Sockets and files of a VM, in its directory.
func (v VM) monitor() string { return filepath.Join(v.Dir, "qmp.sock") }

func (v VM) qmp() string { return "unix:" + value(v.monitor()) + ",server=on,wait=off" }

// Processes are those that run v, known by their monitor: one, or none.
func (v VM) Processes() ([]process.ID, error) {
	return process.List(func(args []string) bool {
		return len(args) > 0 && filepath.Base(args[0]) == Program && slices.Contains(args, v.qmp())
	})
}

// Serial is the log of the first serial port, which the guest's console is on.
func (v VM) Serial() string { return filepath.Join(v.Dir, "serial.log") }

// Args are the arguments of [Program].
func (v VM) Args() []string {
	args := []string{
		"-name", "guest=" + value(v.Name),
		"-uuid", v.UUID.String(),
		"-smbios", "type=11,value=" + value(v.Mark),
		"-machine", "q35", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-smp", strconv.Itoa(v.CPUs), "-m", strconv.Itoa(v.Memory),
	}
	args = append(args, v.Accel.args()...)
	args = append(args, v.Firmware.args()...)
	args = append(args,
		"-chardev", "file,id=serial,append=on,path="+value(v.Serial()), "-serial", "chardev:serial",
		"-qmp", v.qmp(),
		"-device", "virtio-rng-pci") // without one a guest waits a minute for randomness
	for i, d := range v.Disks {
		args = append(args, d.args(i)...)
	}
	args = append(args, v.tray()...)
	for i, n := range v.NICs {
		args = append(args, n.args(i)...)
	}
	return args
}

// args choose the accelerator and a processor. TCG emulates no AVX: a model
// that has none is faster, and has what x86-64-v2 asks for.
func (a Accel) args() []string {
	if a == KVM {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	return []string{"-accel", "tcg,thread=multi", "-cpu", "Nehalem,+rdrand"}
}

func (d Disk) args(i int) []string {
	id := fmt.Sprintf("disk%d", i)
	cache := ""
	if d.Volatile {
		cache = ",cache.no-flush=on"
	}
	return []string{
		"-blockdev", "driver=file,node-name=" + id + "-file,filename=" + value(d.Path) + cache,
		"-blockdev", "driver=" + d.Format + ",node-name=" + id + ",file=" + id + "-file,discard=unmap" + cache,
		"-device", "virtio-blk-pci,drive=" + id + bootIndex(i),
	}
}

// bootIndex lets the first disk go before the CD, and no other disk boot.
func bootIndex(i int) string {
	if i == 0 {
		return ",bootindex=1"
	}
	return ""
}

// tray is the CD drive, which is there without a medium too.
func (v VM) tray() []string {
	if v.Media == "" {
		return []string{"-device", "virtio-scsi-pci,id=scsi", "-device", "scsi-cd,id=cd,bus=scsi.0,bootindex=2"}
	}
	return []string{
		"-blockdev", "driver=file,node-name=media,read-only=on,filename=" + value(v.Media),
		"-device", "virtio-scsi-pci,id=scsi", "-device", "scsi-cd,id=cd,bus=scsi.0,drive=media,bootindex=2",
	}
}

func (n NIC) args(i int) []string {
	id := fmt.Sprintf("net%d", i)
	backend := "user,id=" + id
	switch {
	case n.FD > 0:
		backend = fmt.Sprintf("tap,id=%s,fd=%d", id, n.FD)
	case n.Tap != "":
		backend = "tap,id=" + id + ",ifname=" + n.Tap + ",script=no,downscript=no"
	}
	mtu := ""
	if n.MTU > 0 {
		mtu = fmt.Sprintf(",host_mtu=%d", n.MTU)
	}
	return []string{"-netdev", backend, "-device", "virtio-net-pci,romfile=,netdev=" + id + ",mac=" + n.MAC.String() + mtu}
}

// value writes a value into an option: commas separate options, two are one.
func value(s string) string { return strings.ReplaceAll(s, ",", ",,") }
