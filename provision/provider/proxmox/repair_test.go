package proxmox_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/provider"
)

func TestRepair(t *testing.T) {
	const advice = "vCPUs and memory are changed when it is off: drain the node, shut it down, run `slipway up` again"
	for _, c := range []struct {
		name    string
		running bool
		change  map[string]string // behind slipway's back; "" removes
		left    []string
	}{
		{name: "nothing is changed where nothing is wrong"},
		{name: "tray, boot order and tags", running: true, change: map[string]string{"boot": "order=ide2", "ide2": "local:iso/other.iso,media=cdrom", "tags": ""}},
		{name: "a drive that is missing", change: map[string]string{"ide2": ""}},
		{name: "vCPUs and memory of a machine that is off", change: map[string]string{"cores": "1", "sockets": "2", "memory": "2048"}},
		{name: "not of one that runs", running: true, change: map[string]string{"memory": "2048"},
			left: []string{"memory in MiB: asked for 16384, it has 2048", advice}},
		{name: "network, disks and identity stay", change: map[string]string{"net0": "virtio=02:00:00:00:00:00,bridge=vmbr9", "smbios1": "uuid=00000000-0000-0000-0000-000000000001"},
			left: []string{"SMBIOS UUID: asked for " + node(0).UUID.String() + ", it has 00000000-0000-0000-0000-000000000001",
				"network devices: asked for virtio=02:00:00:00:00:00,bridge=vmbr0,mtu=1400, it has virtio=02:00:00:00:00:00,bridge=vmbr9"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDatacentre(t, nil)
			p := d.open()
			m := create(t, p, node(0))
			before := d.configOf(m)
			changed := d.vm(m.ID)
			changed.Running = c.running
			for key, value := range c.change {
				if changed.Config[key] = value; value == "" {
					delete(changed.Config, key)
				}
			}
			d.server.AddVM(changed)
			for range 2 {
				left, err := p.Repair(bounded(t), m)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.left, left); diff != "" {
					t.Errorf("left (-want +got):\n%s", diff)
				}
			}
			if c.left == nil {
				if diff := cmp.Diff(before, d.configOf(m)); diff != "" {
					t.Errorf("configuration (-before +after):\n%s", diff)
				}
			}
			if puts := d.count(http.MethodPut, "/nodes/{node}/qemu/{vmid}/config"); puts > 3 {
				t.Errorf("%d changes were sent, want at most one for tags at its creation, one repair and one for tags", puts)
			}
		})
	}
}

// configOf is a configuration as the machine will have it at its next start.
func (d *datacentre) configOf(m provider.Machine) map[string]any {
	d.t.Helper()
	var config map[string]any
	d.ask(http.MethodGet, "/nodes/"+m.Place+"/qemu/"+m.ID+"/config", nil, &config)
	delete(config, "digest")
	return config
}

func TestRepairTouchesNothingForeign(t *testing.T) {
	d := newDatacentre(t, nil)
	p := d.open()
	m := create(t, p, node(0))
	foreign := d.vm(m.ID)
	foreign.Config["description"], foreign.Config["boot"] = "mine", "order=ide2"
	d.server.AddVM(foreign)
	if left, err := p.Repair(bounded(t), m); err == nil {
		t.Errorf("Repair of a foreign machine: %v, no error", left)
	}
	if boot := d.vm(m.ID).Config["boot"]; boot != "order=ide2" {
		t.Errorf("its boot order became %q", boot)
	}
	gone := m
	gone.ID = "29999"
	if _, err := p.Repair(bounded(t), gone); err == nil || errors.Is(err, provider.ErrTaken) {
		t.Errorf("Repair of nothing: %v", err)
	}
}
