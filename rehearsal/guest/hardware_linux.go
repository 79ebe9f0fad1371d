package guest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/rehearsal/node"
)

// Devices of a machine that internal/qemu runs.
const (
	diskDevice = "/dev/vda"
	cdDevice   = "/dev/sr0"
	// NetbootISO is where a boot loader without a CD puts the image, in the
	// machine's initramfs.
	NetbootISO = "/discovery.iso"
)

// tray is what the machine has in place of a CD, or its CD.
func tray() string {
	if _, err := os.Stat(NetbootISO); err == nil {
		return NetbootISO
	}
	return cdDevice
}

// hardware is what the machine has, and where it has less, what it is meant to.
func hardware(reset func()) (hw node.Hardware, w World, err error) {
	hw.Reset = reset
	if hw.UUID, err = systemUUID(); err != nil {
		return hw, w, err
	}
	if hw.NICs, err = interfaces(); err != nil {
		return hw, w, err
	}
	medium := tray()
	if err := appear(medium); err != nil {
		return hw, w, err
	}
	if hw.Disk, err = findDisk(); err != nil {
		return hw, w, err
	}
	if hw.Disk != nil && hw.Disk.System() != nil { // which was installed from another CD, perhaps
		medium = diskDevice
	}
	if w, err = readWorld(medium); err != nil {
		return hw, w, err
	}
	return hw, w, furnish(&hw, w)
}

// findDisk returns the machine's disk, nil when it has none.
func findDisk() (*node.Disk, error) {
	if _, err := os.Stat(diskDevice); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return openDisk(diskDevice, tray())
}

// furnish adds what the machine is meant to have.
func furnish(hw *node.Hardware, w World) error {
	oem, err := os.ReadFile("/sys/firmware/dmi/entries/11-0/raw")
	if err != nil {
		return err
	}
	s, err := w.describe(hw.UUID, oem)
	if err != nil {
		return err
	}
	hw.Name, hw.CPUs, hw.Memory, hw.DiskSize, hw.Boot, hw.Speed = s.Name, s.CPUs, s.Memory, s.Disk, s.Boot, w.Speed
	return nil
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

// appearTime is how long a driver may take to find its device.
const appearTime = 10 * time.Second

// appear waits for a device.
func appear(path string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(appearTime); ; {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-deadline:
			return fmt.Errorf("there is no %s", path)
		case <-tick.C:
		}
	}
}
