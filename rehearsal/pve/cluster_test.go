package pve

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pick keeps what a test compares of a list of objects, one line each.
func pick(data any, keys ...string) (lines []map[string]any) {
	list, _ := data.([]any)
	for _, entry := range list {
		kept := map[string]any{}
		for _, key := range keys {
			if value, ok := entry.(map[string]any)[key]; ok {
				kept[key] = value
			}
		}
		lines = append(lines, kept)
	}
	return lines
}

func TestListsOfTheDatacentre(t *testing.T) {
	l := newLab(t, func(c *Config) {
		c.Nodes = []string{"pve", "pve2"}
		c.Bridges = []string{"vmbr0", "vmbr1"}
		c.Pools = []string{"lab", "other"}
		c.Storages = append(c.Storages, Storage{Name: "nfs", Type: "nfs", Content: []string{"iso", "images"}, Shared: true, Size: 1 << 30})
	})
	l.machine()
	cases := []struct {
		name, token, path string
		params, keys      []string
		want              []map[string]any
	}{
		{"nodes, with figures for the auditor only", "lab", "/nodes", nil, []string{"node", "status", "maxcpu"},
			[]map[string]any{{"node": "pve", "status": "online"}, {"node": "pve2", "status": "online"}}},
		{"storages the token may use", "lab", "/nodes/pve/storage", []string{"enabled", "1", "format", "1"},
			[]string{"storage", "content", "shared", "used", "format"}, []map[string]any{
				{"storage": "local", "content": "iso,vztmpl,backup", "shared": 0.0, "used": 0.0,
					"format": []any{map[string]any{"raw": 1.0, "qcow2": 1.0, "vmdk": 1.0, "subvol": 1.0}, "raw"}},
				{"storage": "local-lvm", "content": "images,rootdir", "shared": 0.0, "used": float64(120 << 30),
					"format": []any{map[string]any{"raw": 1.0}, "raw"}}}},
		{"storages by content", "admin", "/nodes/pve2/storage", []string{"content", "iso"}, []string{"storage", "avail"},
			[]map[string]any{{"storage": "local", "avail": float64(1 << 40)}, {"storage": "nfs", "avail": float64(1 << 30)}}},
		{"disk images of the VM", "lab", "/nodes/pve/storage/local-lvm/content", []string{"content", "images", "vmid", "100"},
			[]string{"volid", "size", "vmid"}, []map[string]any{{"volid": "local-lvm:vm-100-disk-0", "size": float64(120 << 30), "vmid": 100.0}}},
		{"no images on the other node", "lab", "/nodes/pve2/storage/local-lvm/content", nil, []string{"volid"}, nil},
		{"bridges the token may use", "lab", "/nodes/pve/network", []string{"type", "any_bridge"}, []string{"iface", "type", "active"},
			[]map[string]any{{"iface": "vmbr0", "type": "bridge", "active": 1.0}}},
		{"no bonds", "admin", "/nodes/pve/network", []string{"type", "bond"}, []string{"iface"}, nil},
		{"pools the token may audit", "lab", "/pools", nil, []string{"poolid", "members"}, []map[string]any{{"poolid": "lab"}}},
		{"resources: nodes", "lab", "/cluster/resources", []string{"type", "node"}, []string{"id", "maxcpu"},
			[]map[string]any{{"id": "node/pve"}, {"id": "node/pve2"}}},
		{"resources: nodes, with figures for the auditor", "admin", "/cluster/resources", []string{"type", "node"}, []string{"id", "maxcpu"},
			[]map[string]any{{"id": "node/pve", "maxcpu": 32.0}, {"id": "node/pve2", "maxcpu": 32.0}}},
		{"resources: storages", "lab", "/cluster/resources", []string{"type", "storage"}, []string{"id"},
			[]map[string]any{{"id": "storage/pve/local"}, {"id": "storage/pve/local-lvm"}, {"id": "storage/pve2/local"}, {"id": "storage/pve2/local-lvm"}}},
		{"resources: no zones without SDN.Audit", "lab", "/cluster/resources", []string{"type", "sdn"}, []string{"id"}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := l.as(c.token).call("GET", c.path, c.params...)
			if diff := cmp.Diff(c.want, pick(r.Data, c.keys...)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", r.Status, diff)
			}
		})
	}
}

func TestAPoolKnowsItsMembers(t *testing.T) {
	l := newLab(t, nil)
	l.machine()
	members := l.call("GET", "/pools/lab").Data.(map[string]any)["members"]
	want := []map[string]any{{"id": "qemu/100", "type": "qemu", "vmid": 100.0, "node": "pve"}}
	if diff := cmp.Diff(want, pick(members, "id", "type", "vmid", "node")); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	one := l.call("GET", "/pools", "poolid", "lab").Data.([]any)[0].(map[string]any)
	if diff := cmp.Diff(want, pick(one["members"], "id", "type", "vmid", "node")); diff != "" {
		t.Errorf("members by poolid (-want +got):\n%s", diff)
	}
}

func TestNodeStatusCountsTheMemoryOfRunningVMs(t *testing.T) {
	l := newLab(t, nil)
	l.machine()
	used := func() float64 {
		status := l.as("admin").call("GET", "/nodes/pve/status").Data.(map[string]any)
		return status["memory"].(map[string]any)["used"].(float64)
	}
	before := used()
	l.task("POST", "/nodes/pve/qemu/100/status/start")
	if got := used() - before; got != 16<<30 {
		t.Errorf("a VM of 16 GiB took %v bytes", got)
	}
}

func TestAVMIsFoundOnItsNodeOnly(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Nodes = []string{"pve", "pve2"} })
	l.machine()
	got := l.call("GET", "/nodes/pve2/qemu/100/config").Status
	if want := "500 Configuration file 'nodes/pve2/qemu-server/100.conf' does not exist"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUploadsLandOnTheTargetNodeButTheirTaskRunsWhereTheyCameIn(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Nodes = []string{"pve", "pve2"} })
	req := l.request("POST", base+"/nodes/pve2/storage/local/upload", field("content", "iso")+filePart("x.iso", "data")+end)
	req.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	r := l.send(req)
	if upid, _ := r.Data.(string); !strings.HasPrefix(upid, "UPID:pve:") {
		t.Errorf("task is %v", r)
	}
	l.await(r)
	for node, want := range map[string]int{"pve": 0, "pve2": 1} {
		list, _ := l.call("GET", "/nodes/"+node+"/storage/local/content", "content", "iso").Data.([]any)
		if len(list) != want {
			t.Errorf("%s has %v", node, list)
		}
	}
}

func TestBootOrderFollowsTheDrives(t *testing.T) {
	l := newLab(t, nil)
	l.machine("boot", "order=scsi0;ide2")
	steps := []struct {
		name   string
		params []string
		status string
		boot   string
	}{
		{"a CD drive that comes is put last", []string{"sata0", "none,media=cdrom"}, "200 OK", "order=scsi0;ide2;sata0"},
		{"a drive that goes is taken out", []string{"delete", "ide2"}, "200 OK", "order=scsi0;sata0"},
		{"a device that is not there is refused", []string{"boot", "order=scsi0;ide2"},
			"500 invalid bootorder: device 'ide2' does not exist'", "order=scsi0;sata0"},
	}
	for _, s := range steps {
		if got := l.call("PUT", "/nodes/pve/qemu/100/config", s.params...).Status; got != s.status {
			t.Errorf("%s: %s, want %s", s.name, got, s.status)
		}
		if got := l.srv.VMs()[0].Config["boot"]; got != s.boot {
			t.Errorf("%s: boot is %s, want %s", s.name, got, s.boot)
		}
	}
}

func TestPendingChangesShowUntilTheNextStart(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Speed = 50 }) // so that a delay is long enough for a slow machine
	l.machine("onboot", "1")
	l.task("POST", "/nodes/pve/qemu/100/status/start")
	l.await(l.call("POST", "/nodes/pve/qemu/100/config", "memory", "8192", "delete", "serial0,onboot"))
	memory := func(params ...string) any {
		return l.call("GET", "/nodes/pve/qemu/100/config", params...).Data.(map[string]any)["memory"]
	}
	if got := []any{memory(), memory("current", "1")}; !cmp.Equal(got, []any{"8192", "16384"}) {
		t.Errorf("memory to come and current: %v", got)
	}
	for _, entry := range pick(l.call("GET", "/nodes/pve/qemu/100/pending").Data, "key", "value", "pending") {
		if entry["key"] == "memory" && !cmp.Equal(entry, map[string]any{"key": "memory", "value": "16384", "pending": "8192"}) {
			t.Errorf("pending: %v", entry)
		}
	}
	if r := l.call("POST", "/nodes/pve/qemu/100/config", "name", "new", "background_delay", "30"); r.Status != "200 OK" || r.Data != nil {
		t.Errorf("a change that is done within its delay has no task: %+v", r)
	}
}

func TestRequestsAreSeenByTheHook(t *testing.T) {
	var seen []string
	l := newLab(t, func(c *Config) {
		c.OnRequest = func(method, template string, params map[string]string) {
			seen = append(seen, method+" "+template+" "+params["node"]+" "+params["full"])
		}
	})
	l.call("GET", "/nodes/pve/qemu", "full", "1")
	if diff := cmp.Diff([]string{"GET /nodes/{node}/qemu pve 1"}, seen); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
}
