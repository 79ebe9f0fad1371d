package pve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDisksAreMadeTheWayTheStorageDoes(t *testing.T) {
	cases := []struct {
		name    string
		storage Storage
		disk    string
		want    string // exit of the task, or the drive as it is stored
	}{
		{"dir: raw files by default", Storage{Type: "dir"}, "8", "s1:100/vm-100-disk-0.raw,size=8G"},
		{"dir: qcow2 on demand", Storage{Type: "dir"}, "8,format=qcow2", "s1:100/vm-100-disk-0.qcow2,size=8G"},
		{"nfs: files", Storage{Type: "nfs"}, "8,format=vmdk", "s1:100/vm-100-disk-0.vmdk,size=8G"},
		{"cifs: files", Storage{Type: "cifs"}, "8", "s1:100/vm-100-disk-0.raw,size=8G"},
		{"lvm: volumes", Storage{Type: "lvm"}, "8", "s1:vm-100-disk-0,size=8G"},
		{"lvmthin: raw only", Storage{Type: "lvmthin"}, "8,format=qcow2", "unsupported format 'qcow2'"},
		{"zfspool: volumes", Storage{Type: "zfspool"}, "8", "s1:vm-100-disk-0,size=8G"},
		{"rbd: images", Storage{Type: "rbd"}, "8", "s1:vm-100-disk-0,size=8G"},
		{"lvm, full", Storage{Type: "lvm", Size: 10 << 30, Used: 4 << 30}, "8",
			`lvcreate 's1/vm-100-disk-0' error:   Volume group "s1" has insufficient free space (1536 extents): 2048 required.`},
		{"zfspool, full", Storage{Type: "zfspool", Size: 4 << 30}, "8", "zfs error: cannot create 's1/vm-100-disk-0': out of space"},
		{"lvmthin promises more than it has", Storage{Type: "lvmthin", Size: 4 << 30}, "8", "s1:vm-100-disk-0,size=8G"},
		{"lvmthin, full", Storage{Type: "lvmthin", Size: 4 << 30, Used: 4 << 30}, "8",
			"lvcreate 'pve/vm-100-disk-0' error:   Cannot create new thin volume, free space in thin pool pve/data reached threshold."},
		{"dir, full", Storage{Type: "dir", Size: 4 << 30, Used: 4 << 30}, "8",
			"unable to create image: qemu-img: /var/lib/vz/images/100/vm-100-disk-0.raw: Could not resize file: No space left on device"},
		{"rbd, full", Storage{Type: "rbd", Size: 4 << 30, Used: 4 << 30}, "8", "rbd create 'vm-100-disk-0' error: rbd: create error: (28) No space left on device"},
		{"on other nodes only", Storage{Type: "dir", Nodes: []string{"pve2"}}, "8", "storage 's1' is not available on node 'pve'"},
		{"disabled", Storage{Type: "dir", Disabled: true}, "8", "storage 's1' is disabled"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.storage.Name, c.storage.Content = "s1", []string{"images"}
			l := newLab(t, func(cfg *Config) {
				cfg.Nodes, cfg.Storages = []string{"pve", "pve2"}, []Storage{c.storage}
			}).as("admin")
			got := l.task("POST", "/nodes/pve/qemu", "vmid", "100", "scsi0", "s1:"+c.disk)
			if got == "OK" {
				got = l.srv.VMs()[0].Config["scsi0"]
			} else if len(l.srv.VMs()) != 0 || len(l.srv.volumes) != 0 {
				t.Errorf("left: %v, %v", l.srv.VMs(), l.srv.volumes)
			}
			if got = strings.TrimPrefix(got, "unable to create VM 100 - "); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestLVMTakesQcow2From9On(t *testing.T) {
	for version, want := range map[string]string{"9.1.4": "OK", "8.4.1": "unable to create VM 100 - unsupported format 'qcow2'"} {
		l := newLab(t, func(c *Config) {
			c.Version, c.Storages = version, []Storage{{Name: "vg", Type: "lvm", Content: []string{"images"}}}
		}).as("admin")
		if got := l.task("POST", "/nodes/pve/qemu", "vmid", "100", "scsi0", "vg:8,format=qcow2"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
	}
}

func TestStoragesThatCannotBe(t *testing.T) {
	for want, store := range map[string]Storage{
		`storage x1: type "floppy" is not simulated`: {Type: "floppy"},
		"storage x1: type cephfs holds no images":    {Type: "cephfs", Content: []string{"iso", "images"}},
		"storage x1: type rbd holds no iso":          {Type: "rbd", Content: []string{"iso"}},
	} {
		store.Name = "x1"
		if _, err := New(Config{Dir: t.TempDir(), Storages: []Storage{store}}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestStoragesOfNodes(t *testing.T) {
	l := newLab(t, func(c *Config) {
		c.Nodes = []string{"pve", "pve2"}
		c.Storages = []Storage{
			{Name: "local", Type: "dir", Content: []string{"iso"}, Size: 100, Used: 25},
			{Name: "ceph", Type: "cephfs", Content: []string{"iso"}},
			{Name: "fast", Type: "zfspool", Content: []string{"images"}, Nodes: []string{"pve2"}},
			{Name: "off", Type: "dir", Content: []string{"iso"}, Disabled: true},
		}
	}).as("admin")
	cases := []struct {
		name, path string
		want       []map[string]any
	}{
		{"all that are configured", "/nodes/pve/storage", []map[string]any{
			{"storage": "local", "shared": 0.0, "enabled": 1.0, "active": 1.0, "avail": 75.0, "used_fraction": 0.25},
			{"storage": "ceph", "shared": 1.0, "enabled": 1.0, "active": 1.0, "avail": float64(1 << 40), "used_fraction": 0.0},
			{"storage": "fast", "shared": 0.0, "enabled": 0.0, "active": 0.0, "avail": 0.0},
			{"storage": "off", "shared": 0.0, "enabled": 0.0, "active": 0.0, "avail": 0.0}}},
		{"those that are not disabled", "/nodes/pve2/storage?enabled=1", []map[string]any{
			{"storage": "local", "shared": 0.0, "enabled": 1.0, "active": 1.0, "avail": 75.0, "used_fraction": 0.25},
			{"storage": "ceph", "shared": 1.0, "enabled": 1.0, "active": 1.0, "avail": float64(1 << 40), "used_fraction": 0.0},
			{"storage": "fast", "shared": 0.0, "enabled": 1.0, "active": 1.0, "avail": float64(1 << 40), "used_fraction": 0.0}}},
		{"by content, those of the node", "/nodes/pve/storage?content=images", nil},
		{"shared with another node", "/nodes/pve/storage?target=pve2", []map[string]any{
			{"storage": "ceph", "shared": 1.0, "enabled": 1.0, "active": 1.0, "avail": float64(1 << 40), "used_fraction": 0.0}}},
	}
	for _, c := range cases {
		got := l.send(l.request("GET", base+c.path, ""))
		if diff := cmp.Diff(c.want, pick(got.Data, "storage", "shared", "enabled", "active", "avail", "used_fraction")); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", c.name, got.Status, diff)
		}
	}
	if got := l.call("GET", "/nodes/pve/storage", "storage", "nope").Errors["storage"]; got != "No such storage." {
		t.Errorf("a storage that is not configured: %q", got)
	}
	resources := pick(l.call("GET", "/cluster/resources", "type", "storage").Data, "id")
	want := []map[string]any{{"id": "storage/pve/local"}, {"id": "storage/pve/ceph"}, {"id": "storage/pve2/local"}, {"id": "storage/pve2/ceph"}, {"id": "storage/pve2/fast"}}
	if diff := cmp.Diff(want, resources); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	for path, want := range map[string]string{
		"/nodes/pve/storage/fast/status":  "500 storage 'fast' is not available on node 'pve'",
		"/nodes/pve/storage/fast/content": "500 storage 'fast' is not available on node 'pve'",
		"/nodes/pve/storage/off/content":  "500 storage 'off' is disabled",
		"/nodes/pve2/storage/fast/status": "200 OK",
	} {
		if got := l.call("GET", path).Status; got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	wantConfig := []map[string]any{{"storage": "fast", "type": "zfspool", "nodes": "pve2"}}
	if diff := cmp.Diff(wantConfig, pick(l.call("GET", "/storage", "type", "zfspool").Data, "storage", "type", "nodes", "shared")); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestFormatsInStorageLists(t *testing.T) {
	for version, want := range map[string][]map[string]any{
		"9.1.4": {{"storage": "vg", "format": []any{map[string]any{"raw": 1.0, "qcow2": 1.0}, "raw"},
			"formats": map[string]any{"supported": []any{"qcow2", "raw"}, "default": "raw"}}},
		"8.4.1": {{"storage": "vg", "format": []any{map[string]any{"raw": 1.0}, "raw"}}},
	} {
		l := newLab(t, func(c *Config) {
			c.Version, c.Storages = version, []Storage{{Name: "vg", Type: "lvm", Content: []string{"images"}}}
		}).as("admin")
		if diff := cmp.Diff(want, pick(l.call("GET", "/nodes/pve/storage", "format", "1").Data, "storage", "format", "formats")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", version, diff)
		}
	}
}

func TestFullStorages(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Storages[0].Size = 100 })
	big := field("content", "iso") + filePart("x.iso", strings.Repeat("x", 101)) + end
	want := "import failed: cp: error writing '" + l.srv.cfg.Dir + "/local/template/iso/x.iso': No space left on device"
	if got := l.await(l.send(l.uploadRequest(big))); got != want {
		t.Errorf("an image that is too large: %q, want %q", got, want)
	}
	fits := field("content", "iso") + filePart("x.iso", "x") + end
	if got := l.await(l.send(l.uploadRequest(fits))); got != "OK" {
		t.Errorf("a small one: %s", got)
	}
	i := l.inject("storage-full,storage=local,times=1")
	if got := l.await(l.send(l.uploadRequest(fits))); got != want || i.Hits() != 1 {
		t.Errorf("by fault: %q, want %q", got, want)
	}
	l.inject("storage-full,storage=local-lvm,times=1")
	if got := l.task("POST", "/nodes/pve/qemu", sound("100")...); !strings.Contains(got, "reached threshold") {
		t.Errorf("a disk, by fault: %q", got)
	}
}

func TestVolumesAreDeleted(t *testing.T) {
	l := newLab(t, nil).as("admin")
	l.machine()
	l.await(l.send(l.uploadRequest(field("content", "iso") + filePart("x.iso", "x") + end)))
	path := func(store, volume string) string {
		return fmt.Sprintf("/nodes/pve/storage/%s/content/%s", store, volume)
	}
	cases := []struct {
		name, path string
		want       string
	}{
		{"an image", path("local", "local:iso/x.iso"), "OK"},
		{"one that is not there", path("local", "iso/none.iso"), "OK"},
		{"a disk", path("local-lvm", "local-lvm:vm-100-disk-0"), "OK"},
		{"under another storage's name", path("local", "local-lvm:vm-100-disk-0"), "400 Parameter verification failed."},
		{"something else", path("local", "local:vztmpl/x.tar.gz"), "500 unable to parse volume filename 'vztmpl/x.tar.gz'"},
	}
	for _, c := range cases {
		r := l.call("DELETE", c.path)
		got := r.Status
		if r.Data != nil {
			got = l.await(r)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if len(l.stored()) != 0 || len(l.srv.volumes) != 0 {
		t.Errorf("left: %v %v", l.stored(), l.srv.volumes)
	}
	if r := l.call("DELETE", path("local", "iso/none.iso"), "delay", "30"); r.Status != "200 OK" || r.Data != nil {
		t.Errorf("a deletion that is done within its delay has no task: %+v", r)
	}
	if task := l.srv.tasks[len(l.srv.tasks)-1]; task.id != "local" {
		t.Errorf("the task is about %q", task.id)
	}
}

func TestISOImagesAreAttachedAsCDOnly(t *testing.T) {
	l := newLab(t, nil)
	r := l.call("POST", "/nodes/pve/qemu", append(sound("100"), "ide2", "local:iso/x.iso")...)
	if want := map[string]string{"ide2": "explicit 'media=cdrom' is required for iso images"}; !cmp.Equal(r.Errors, want) {
		t.Errorf("errors %v, want %v", r.Errors, want)
	}
}
