package pveschema

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	create := map[string]string{"vmid": "100", "name": "control-0.mycluster.lab.test", "memory": "16384", "cores": "8",
		"scsi0": "local-lvm:120,discard=on,iothread=1,ssd=1", "ide2": "local:iso/x.iso,media=cdrom",
		"net0": "virtio=52:54:00:00:00:01,bridge=vmbr0,tag=7", "agent": "1", "serial0": "socket", "onboot": "0"}
	with := func(name, value string) map[string]string {
		m := maps.Clone(create)
		m[name] = value
		return m
	}
	cases := []struct {
		name   string
		verb   string
		path   string
		params map[string]string
		want   []string
	}{
		{"a sound create has nothing against it", "POST", "/nodes/pve/qemu", create, nil},
		{"fixed path parts win over parameters", "POST", "/nodes/pve/qemu/100/status/start", nil, nil},
		{"a volume takes the rest of the path", "DELETE", "/nodes/pve/storage/local/content/local:iso/x.iso", nil, nil},
		{"parameters of a real path are checked", "POST", "/nodes/pve/qemu/99/status/start", nil, []string{`vmid: 99 is out of range`}},
		{"unknown methods are named", "PATCH", "/version", nil, []string{"no method PATCH /version"}},
		{"unknown parameters are refused", "POST", "/nodes/pve/qemu", with("colour", "red"), []string{"colour: no such parameter"}},
		{"families end", "POST", "/nodes/pve/qemu", with("ide4", "none"), []string{"ide4: no such parameter"}},
		{"required parameters are missed", "POST", "/nodes/pve/qemu", map[string]string{}, []string{"vmid: missing"}},
		{"types are checked", "POST", "/nodes/pve/qemu", with("cores", "many"), []string{`cores: "many" is no integer`}},
		{"keys of property strings are checked", "POST", "/nodes/pve/qemu", with("net0", "virtio,bridge=vmbr0,colour=red"),
			[]string{`net0: key "colour" is unknown, or its value empty`}},
		{"keys are not given twice", "POST", "/nodes/pve/qemu", with("net0", "virtio,bridge"), []string{"net0: key model is given twice"}},
		{"values of keys are checked", "POST", "/nodes/pve/qemu", with("net0", "virtio,tag=5000"), []string{"net0: key tag: 5000 is out of range"}},
		{"parameters need their companions", "POST", "/nodes/pve/storage/local/upload",
			map[string]string{"content": "iso", "filename": "x.iso", "checksum": "00"}, []string{"checksum: needs checksum-algorithm"}},
	}
	for release, schema := range Reference(t) {
		for _, c := range cases {
			t.Run(release+"/"+c.name, func(t *testing.T) {
				if diff := cmp.Diff(c.want, schema.Check(c.verb, c.path, c.params)); diff != "" {
					t.Errorf("Check (-want +got):\n%s", diff)
				}
			})
		}
	}
}
