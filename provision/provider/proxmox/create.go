package proxmox

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/provision/provider"
)

// dnsName is PVE's format of VM names: no underscores, no dot at the end.
var dnsName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$`)

// createParams is the body of POST /nodes/{node}/qemu. Tags are not in it:
// they are checked before the machine is in its pool, and refused to a token
// that is confined to one. Neither is start=1, which hides failures to start.
func (p *Provider) createParams(m provider.Machine) (map[string]any, error) {
	vmid, err := checkMachine(m)
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", m.Name, err)
	}
	description, err := ownership{m.Mark, m.Name, vmid}.description()
	params := map[string]any{
		"vmid": vmid, "name": m.Name, "description": description, "pool": p.cfg.Pool,
		"memory": m.Memory, "cores": m.CPUs, "sockets": 1,
		"ostype": "l26", "machine": "q35", "scsihw": "virtio-scsi-single",
		diskSlot: p.cfg.Storage.disk(m.Disk), traySlot: emptyTray, "boot": bootOrder,
		"agent": "1", "serial0": "socket", "onboot": false,
		"smbios1": "uuid=" + m.UUID.String(),
	}
	maps.Copy(params, p.cfg.Hardware.params(p.cfg.Storage))
	for i, gib := range m.Disks {
		params[slotOf(i)] = p.cfg.Storage.disk(gib)
	}
	for i, nic := range m.NICs {
		params["net"+strconv.Itoa(i)] = nicLine(nic)
	}
	return params, err
}

func checkMachine(m provider.Machine) (vmid int, err error) {
	vmid, err = strconv.Atoi(m.ID)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a VMID", m.ID)
	case !nodeName.MatchString(m.Place):
		return 0, fmt.Errorf("%q is not a node to place it on", m.Place)
	case !dnsName.MatchString(m.Name):
		return 0, errors.New("its name is not a DNS name, which Proxmox VE demands")
	case m.UUID == uuid.Nil:
		return 0, errors.New("it has no SMBIOS UUID")
	case slices.ContainsFunc(m.NICs, func(nic provider.NIC) bool { return len(nic.MAC) != 6 }):
		return 0, errors.New("a network device of it has no MAC address")
	case len(m.Disks) > maxDisks || len(m.NICs) > maxNICs:
		return 0, fmt.Errorf("%d further disks and %d network devices are more than Proxmox VE has slots for (%d and %d)", len(m.Disks), len(m.NICs), maxDisks, maxNICs)
	case slices.ContainsFunc(m.Disks, func(gib int) bool { return gib < 1 }):
		return 0, errors.New("a further disk of it is smaller than 1 GiB")
	case m.CPUs < 1 || m.Memory < 16 || m.Disk < 1:
		return 0, fmt.Errorf("%d vCPUs, %d MiB of memory and %d GiB of disk are not enough for any machine", m.CPUs, m.Memory, m.Disk)
	}
	return vmid, nil
}

func nicLine(nic provider.NIC) string {
	line := fmt.Sprintf("virtio=%s,bridge=%s", strings.ToUpper(nic.MAC.String()), bridgeOf(nic))
	if nic.VLAN != 0 {
		line += fmt.Sprintf(",tag=%d", nic.VLAN)
	}
	if nic.MTU != 0 {
		line += fmt.Sprintf(",mtu=%d", nic.MTU)
	}
	return line
}

func bridgeOf(nic provider.NIC) string {
	if nic.Bridge == "" {
		return defaultBridge
	}
	return nic.Bridge
}

var notInTags = regexp.MustCompile(`[^a-z0-9_.+-]+`)

// tags adds our own to those asked for, in the form PVE keeps them.
func tags(asked []string) string {
	all := []string{ourTag}
	for _, tag := range asked {
		clean := strings.TrimLeft(notInTags.ReplaceAllString(strings.ToLower(tag), "-"), ".+-")
		if clean != "" && clean != ourTag {
			all = append(all, clean)
		}
	}
	return strings.Join(all, ";")
}
