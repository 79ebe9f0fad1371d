package guest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/rehearsal/node"
)

// Devices of a machine that internal/qemu runs.
const (
	diskDevice = "/dev/vda"
	cdDevice   = "/dev/sr0"
)

// hardware is what the machine has, and where it has less, what it is meant to.
func hardware(spec Spec, reset func()) (hw node.Hardware, err error) {
	hw = node.Hardware{Name: spec.Name, CPUs: spec.CPUs, Memory: spec.Memory, DiskSize: spec.Disk, Boot: spec.Boot, Speed: spec.Speed, Reset: reset}
	if hw.UUID, err = systemUUID(); err != nil {
		return hw, err
	}
	if hw.NICs, err = interfaces(); err != nil {
		return hw, err
	}
	if err := appear(cdDevice); err != nil {
		return hw, err
	}
	if spec.Disk > 0 {
		hw.Disk, err = openDisk(diskDevice, cdDevice)
	}
	return hw, err
}

func systemUUID() (uuid.UUID, error) {
	text, err := os.ReadFile("/sys/class/dmi/id/product_uuid")
	if err != nil {
		return uuid.Nil, err
	}
	return uuid.Parse(strings.TrimSpace(string(text)))
}

// interfaces are those of the machine in the order of its slots, under the
// names that systemd would give them.
func interfaces() (nics []node.NIC, err error) {
	paths, err := filepath.Glob("/sys/class/net/eth*")
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	for i, path := range paths {
		address, err := os.ReadFile(filepath.Join(path, "address"))
		if err != nil {
			return nil, err
		}
		mac, err := net.ParseMAC(strings.TrimSpace(string(address)))
		if err != nil {
			return nil, err
		}
		link, err := netlab.Own(filepath.Base(path))
		if err != nil {
			return nil, err
		}
		nics = append(nics, node.NIC{Name: node.InterfaceName(i), MAC: mac, Link: link})
	}
	if len(nics) == 0 {
		return nil, errors.New("the machine has no network interface")
	}
	return nics, nil
}

// plug gives the first interface the address of the wire.
func plug(first node.NIC, addr netip.Prefix) error {
	link := first.Link.(*netlab.Interface)
	if err := errors.Join(link.Up(), link.Add(addr)); err != nil {
		return fmt.Errorf("wire: %w", err)
	}
	return nil
}
