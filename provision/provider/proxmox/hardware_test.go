package proxmox_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

// Each storage gets disks in the format that it can keep: none is asked for
// unless the spec names one.
func TestDisksOfEachStorageType(t *testing.T) {
	for _, c := range []struct {
		kind, format string
		shared       bool
	}{
		{"dir", "", false}, {"dir", "qcow2", false}, {"lvm", "", false}, {"lvmthin", "", false}, {"zfspool", "", false},
		{"rbd", "", true}, {"nfs", "", true}, {"nfs", "qcow2", true}, {"cifs", "", true},
	} {
		t.Run(strings.TrimSpace(c.kind+" "+c.format), func(t *testing.T) {
			d := newDatacentre(t, func(cfg *pve.Config) {
				cfg.Storages[0].Type, cfg.Storages[0].Shared = "cephfs", true
				cfg.Storages[1].Type, cfg.Storages[1].Shared = c.kind, c.shared
			})
			cfg := d.config()
			cfg.Storage.Format, cfg.Hardware.UEFI = c.format, true
			p := d.openWith(cfg)
			if problems := p.Check(bounded(t), provider.Request{Machines: []provider.Machine{node(0)}}); len(problems) > 0 {
				t.Errorf("problems: %v", problems)
			}
			m := node(0)
			m.Disks = []int{7}
			m = create(t, p, m)
			if len(m.Adrift) > 0 {
				t.Errorf("adrift: %v", m.Adrift)
			}
			if disk := d.vm(m.ID).Config["scsi1"]; c.format == "qcow2" && !strings.Contains(disk, ".qcow2") {
				t.Errorf("the disk is %q", disk)
			}
			if err := p.Release(bounded(t), m); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHardware(t *testing.T) {
	for _, c := range []struct {
		name string
		hw   proxmox.Hardware
		want map[string]string
	}{
		{"by default", proxmox.Hardware{CPUType: "host"}, map[string]string{"cpu": "host", "numa": "0"}},
		{"UEFI", proxmox.Hardware{CPUType: "host", UEFI: true},
			map[string]string{"cpu": "host", "numa": "0", "bios": "ovmf", "efidisk0": "efitype=4m,pre-enrolled-keys=0,size=4M"}},
		{"UEFI and a TPM", proxmox.Hardware{CPUType: "host", UEFI: true, TPM: true},
			map[string]string{"cpu": "host", "numa": "0", "bios": "ovmf", "efidisk0": "efitype=4m,pre-enrolled-keys=0,size=4M", "tpmstate0": "size=4M,version=v2.0"}},
		{"another CPU and NUMA", proxmox.Hardware{CPUType: "x86-64-v3", NUMA: true}, map[string]string{"cpu": "x86-64-v3", "numa": "1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDatacentre(t, nil)
			cfg := d.config()
			cfg.Hardware = c.hw
			got := maps.Clone(d.vm(create(t, d.openWith(cfg), node(0)).ID).Config)
			maps.DeleteFunc(got, func(key, _ string) bool {
				return !slices.Contains([]string{"bios", "cpu", "numa", "efidisk0", "tpmstate0"}, key)
			})
			for _, disk := range []string{"efidisk0", "tpmstate0"} { // their volumes have names of the server's choice
				if _, options, ok := strings.Cut(got[disk], ","); ok {
					got[disk] = options
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}
