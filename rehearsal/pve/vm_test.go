package pve

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func TestCreateReservesAnIDOnce(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Durations.Create = time.Hour })
	replies := make(chan reply, 4)
	var wg sync.WaitGroup
	for range cap(replies) {
		wg.Go(func() { replies <- l.call("POST", "/nodes/pve/qemu", sound("100")...) })
	}
	wg.Wait()
	close(replies)
	got := map[string]int{}
	for r := range replies {
		got[r.Status]++
	}
	want := map[string]int{"200 OK": 1, "500 unable to create VM 100 - VM 100 already exists on node 'pve'": 3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestThePlaceholderHoldsNothingButTheLock(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Durations.Create = 24 * time.Hour })
	l.call("POST", "/nodes/pve/qemu", sound("100")...)
	conf := l.as("admin").call("GET", "/nodes/pve/qemu/100/config").Data.(map[string]any)
	delete(conf, "digest")
	if diff := cmp.Diff(map[string]any{"lock": "create"}, conf); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if got := l.call("GET", "/nodes/pve/qemu/100/config").Status; got != "403 Permission check failed (/vms/100, VM.Audit)" {
		t.Errorf("the pool's token sees it before the VM is in the pool: %s", got)
	}
	tasks := l.call("GET", "/nodes/pve/tasks", "vmid", "100", "typefilter", "qmcreate", "source", "all").Data.([]any)
	if len(tasks) != 1 || tasks[0].(map[string]any)["status"] != "RUNNING" {
		t.Errorf("tasks: %v", tasks)
	}
}

func TestConfigurationAfterCreate(t *testing.T) {
	l := newLab(t, nil)
	l.machine("efidisk0", "local-lvm:1,efitype=4m,pre-enrolled-keys=0", "bios", "ovmf", "onboot", "0")
	conf := l.call("GET", "/nodes/pve/qemu/100/config").Data.(map[string]any)
	for _, random := range []string{"digest", "meta", "vmgenid"} {
		delete(conf, random)
	}
	want := map[string]any{
		"name": "control-0.mycluster.lab.test", "memory": "16384", "cores": 8.0, "onboot": 0.0, "bios": "ovmf",
		"scsi0":    "local-lvm:vm-100-disk-0,discard=on,iothread=1,size=120G",
		"efidisk0": "local-lvm:vm-100-disk-1,efitype=4m,pre-enrolled-keys=0,size=4M",
		"ide2":     "none,media=cdrom", "net0": "virtio=52:54:00:00:00:01,bridge=vmbr0",
		"boot": "order=scsi0;ide2;net0", "smbios1": "uuid=3D0C7CFC-5A1C-5F0E-9E5B-0F8A3C1B2D4E",
		"description": "slipway mycluster.lab.test",
	}
	if diff := cmp.Diff(want, conf); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestWhatCreateFindsOutLate(t *testing.T) {
	cases := []struct {
		name        string
		params      []string
		create      string
		start       string // "" when there is nothing to start
		configAfter bool
	}{
		{"a missing ISO fails in the task", []string{"ide2", "local:iso/none.iso,media=cdrom"},
			"unable to create VM 100 - volume 'local:iso/none.iso' does not exist", "", false},
		{"a missing bridge fails at start", []string{"net0", "virtio,bridge=vmbr9"}, "OK", "bridge 'vmbr9' does not exist", true},
		{"too many vCPUs fail at start", []string{"cores", "64"}, "OK", "MAX 32 vcpus allowed per VM on this node", true},
		{"start=1 hides that the start failed", []string{"cores", "64", "start", "1"}, "OK", "MAX 32 vcpus allowed per VM on this node", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, nil).as("admin")
			if got := l.task("POST", "/nodes/pve/qemu", append(sound("100"), c.params...)...); got != c.create {
				t.Errorf("create: %q, want %q", got, c.create)
			}
			if got := len(l.srv.VMs()) == 1; got != c.configAfter {
				t.Errorf("VM is there: %t, want %t", got, c.configAfter)
			}
			if c.start == "" {
				return
			}
			if got := l.task("POST", "/nodes/pve/qemu/100/status/start"); got != c.start {
				t.Errorf("start: %q, want %q", got, c.start)
			}
			if log := l.power.log(); len(log) != 0 {
				t.Errorf("hypervisor was asked: %v", log)
			}
		})
	}
}

func TestAFailedCreateLeavesNothing(t *testing.T) {
	l := newLab(t, nil)
	l.task("POST", "/nodes/pve/qemu", append(sound("100"), "tags", "slipway")...)
	if len(l.srv.VMs()) != 0 || len(l.srv.volumes) != 0 {
		t.Errorf("left: %v, %v", l.srv.VMs(), l.srv.volumes)
	}
}

func TestTagsAndPools(t *testing.T) {
	l := newLab(t, nil)
	want := "unable to create VM 100 - 403 Permission check failed (/vms/100, VM.Config.Options)"
	if got := l.task("POST", "/nodes/pve/qemu", append(sound("100"), "tags", "slipway")...); got != want {
		t.Errorf("create with tags: %q, want %q", got, want)
	}
	l.machine()
	if r := l.call("PUT", "/nodes/pve/qemu/100/config", "tags", "slipway;Cluster-Demo;slipway"); r.Status != "200 OK" {
		t.Fatalf("put tags: %+v", r)
	}
	if got := l.srv.VMs()[0].Config["tags"]; got != "cluster-demo;slipway" {
		t.Errorf("tags are %q, want them lower case, sorted and once each", got)
	}
}

func TestBridgeRightsCoverVLANTags(t *testing.T) {
	l := newLab(t, nil)
	l.machine("net1", "virtio,bridge=vmbr0,tag=7")
	got := l.call("PUT", "/nodes/pve/qemu/100/config", "net1", "virtio,bridge=vmbr1,tag=7").Status
	if want := "403 Permission check failed (/sdn/zones/localnetwork/vmbr1/7, SDN.Use)"; got != want {
		t.Errorf("other bridge: %s, want %s", got, want)
	}
}

func TestLifeOfAMachine(t *testing.T) {
	l := newLab(t, nil)
	l.machine("net1", "e1000=52:54:00:00:00:02,bridge=vmbr0,tag=7")
	iso := filepath.Join(l.srv.cfg.Dir, "local", "template", "iso", "x.iso")
	if err := os.WriteFile(iso, make([]byte, 2048), 0o644); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name, method, path string
		params             []string
		want               string // end of the task, or status of a request without
	}{
		{"the tray takes an ISO", "PUT", "/config", []string{"ide2", "local:iso/x.iso,media=cdrom"}, "200 OK"},
		{"it starts", "POST", "/status/start", nil, "OK"},
		{"it starts once", "POST", "/status/start", nil, "VM 100 already running"},
		{"running, it is not destroyed", "DELETE", "", []string{"purge", "1"}, "500 VM 100 is running - destroy failed"},
		{"the tray is emptied while it runs", "PUT", "/config", []string{"ide2", "none,media=cdrom"}, "200 OK"},
		{"memory waits for the next start", "PUT", "/config", []string{"memory", "8192"}, "200 OK"},
		{"it is cut off", "POST", "/status/stop", nil, "OK"},
		{"off, it may be stopped again", "POST", "/status/stop", nil, "OK"},
		{"off, it is not reset", "POST", "/status/reset", nil, "500 VM 100 not running"},
		{"it starts again", "POST", "/status/start", nil, "OK"},
		{"it is reset", "POST", "/status/reset", nil, "OK"},
		{"it is stopped", "POST", "/status/stop", []string{"overrule-shutdown", "1"}, "OK"},
		{"protected, it stays", "PUT", "/config", []string{"protection", "1"}, "200 OK"},
		{"protected, it stays", "DELETE", "", nil, "500 can't remove VM 100 - protection mode enabled"},
		{"unprotected", "PUT", "/config", []string{"delete", "protection"}, "200 OK"},
		{"it is destroyed", "DELETE", "", []string{"purge", "1", "destroy-unreferenced-disks", "1"}, "OK"},
		{"gone looks like forbidden", "GET", "/status/current", nil, "403 Permission check failed (/vms/100, VM.Audit)"},
	}
	for _, s := range steps {
		r := l.call(s.method, "/nodes/pve/qemu/100"+s.path, s.params...)
		got := r.Status
		if r.Data != nil {
			got = l.await(r)
		}
		if got != s.want {
			t.Fatalf("%s: %q, want %q", s.name, got, s.want)
		}
	}
	if diff := cmp.Diff([]string{"on", "media ", "off", "on", "off", "on", "off", "destroy"}, l.power.log()); diff != "" {
		t.Errorf("hypervisor (-want +got):\n%s", diff)
	}
	mac := func(last byte) net.HardwareAddr { return net.HardwareAddr{0x52, 0x54, 0, 0, 0, last} }
	want := VM{ID: 100, Name: "control-0.mycluster.lab.test", UUID: uuid.MustParse("3d0c7cfc-5a1c-5f0e-9e5b-0f8a3c1b2d4e"),
		NICs: []NIC{{mac(1), "vmbr0", 0}, {mac(2), "vmbr0", 7}}, CPUs: 8, Memory: 8192, Disk: 120, Boot: []string{"disk", "cd"}}
	if diff := cmp.Diff(want, l.power.last); diff != "" {
		t.Errorf("VM at its last start (-want +got):\n%s", diff)
	}
	if len(l.srv.VMs()) != 0 || len(l.srv.volumes) != 0 || len(l.srv.RunningTasks()) != 0 {
		t.Errorf("left: %v, %v, %v", l.srv.VMs(), l.srv.volumes, l.srv.RunningTasks())
	}
}

func TestTheHypervisorIsToldOfUEFI(t *testing.T) {
	l := newLab(t, nil)
	l.machine("bios", "ovmf", "efidisk0", "local-lvm:1,efitype=4m,pre-enrolled-keys=0")
	if got := l.await(l.call("POST", "/nodes/pve/qemu/100/status/start")); got != "OK" || !l.power.last.UEFI || l.power.last.Disk != 120 {
		t.Errorf("%s: %+v", got, l.power.last)
	}
}

func TestTheHypervisorGetsTheISOOnDisk(t *testing.T) {
	l := newLab(t, nil)
	iso := filepath.Join(l.srv.cfg.Dir, "local", "template", "iso", "x.iso")
	if err := os.WriteFile(iso, make([]byte, 3072), 0o644); err != nil {
		t.Fatal(err)
	}
	l.machine("ide2", "local:iso/x.iso,media=cdrom")
	if got, want := l.srv.VMs()[0].Config["ide2"], "local:iso/x.iso,media=cdrom,size=3K"; got != want {
		t.Errorf("ide2 is %q, want %q", got, want)
	}
	l.task("POST", "/nodes/pve/qemu/100/status/start")
	if l.power.last.CD != iso {
		t.Errorf("CD is %q, want %q", l.power.last.CD, iso)
	}
}

func TestConfigurationLocks(t *testing.T) {
	l := newLab(t, nil)
	l.machine()
	l.srv.AddVM(VMState{ID: 200, Name: "foreign", Pool: "lab", Config: map[string]string{"lock": "backup", "memory": "512"}})
	cases := []struct{ name, got, want string }{
		{"put: at once", l.call("PUT", "/nodes/pve/qemu/200/config", "onboot", "1").Status, "500 VM is locked (backup)"},
		{"start: in the task", l.task("POST", "/nodes/pve/qemu/200/status/start"), "VM is locked (backup)"},
		{"destroy: in the task", l.task("DELETE", "/nodes/pve/qemu/200"), "VM is locked (backup)"},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
}

// A shutdown that no operating system answers holds the configuration lock;
// a stop that overrules it gets through.
func TestShutdownHangsUntilItIsOverruled(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Durations.LockTimeout = time.Millisecond })
	l.machine()
	l.task("POST", "/nodes/pve/qemu/100/status/start")
	shutdown := l.call("POST", "/nodes/pve/qemu/100/status/shutdown", "timeout", "36000")
	const lock = "/var/lock/qemu-server/lock-100.conf"
	l.until("the lock is held", func() bool { return len(l.srv.locks.file("pve\x00"+lock)) == 1 })
	timeout := "can't lock file '" + lock + "' - got timeout"
	if got := l.task("POST", "/nodes/pve/qemu/100/status/stop"); got != timeout {
		t.Errorf("stop: %q, want %q", got, timeout)
	}
	if got := l.call("PUT", "/nodes/pve/qemu/100/config", "onboot", "1").Status; got != "500 "+timeout {
		t.Errorf("put: %q, want %q", got, timeout)
	}
	l.call("DELETE", "/nodes/pve/tasks/"+shutdown.Data.(string))
	if got := l.await(shutdown); got != "received interrupt" {
		t.Errorf("shutdown: %q", got)
	}
	shutdown = l.call("POST", "/nodes/pve/qemu/100/status/shutdown", "timeout", "36000")
	l.until("the lock is held", func() bool { return len(l.srv.locks.file("pve\x00"+lock)) == 1 })
	l.until("stop gets the lock", func() bool {
		return l.task("POST", "/nodes/pve/qemu/100/status/stop", "overrule-shutdown", "1") == "OK"
	})
	if l.srv.VMs()[0].Running {
		t.Error("it still runs")
	}
}

func TestAllocationsInAStorageWaitForEachOther(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Durations.Create, c.Durations.Allocate = time.Nanosecond, 100*time.Second })
	begin := time.Now()
	first := l.call("POST", "/nodes/pve/qemu", sound("100")...)
	second := l.call("POST", "/nodes/pve/qemu", sound("101")...)
	if got := []string{l.await(first), l.await(second)}; !slices.Equal(got, []string{"OK", "OK"}) {
		t.Fatal(got)
	}
	if took := time.Since(begin); took < 200*time.Millisecond {
		t.Errorf("two allocations took %v, want 200ms at least", took)
	}
}

func TestResourcesAreAsOldAsTheStatusDaemonsRound(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Durations.Stats = 300 * time.Second })
	seen := func() map[string]any {
		list, _ := l.call("GET", "/cluster/resources", "type", "vm").Data.([]any)
		if len(list) != 1 {
			t.Fatalf("resources: %v", list)
		}
		all := list[0].(map[string]any)
		maps.DeleteFunc(all, func(k string, _ any) bool { return !slices.Contains([]string{"status", "name", "pool", "vmid"}, k) })
		return all
	}
	l.machine()
	if diff := cmp.Diff(map[string]any{"status": "unknown", "pool": "lab", "vmid": 100.0}, seen()); diff != "" {
		t.Errorf("just created (-want +got):\n%s", diff)
	}
	l.until("the daemon saw it", func() bool { return seen()["status"] == "stopped" })
	l.task("POST", "/nodes/pve/qemu/100/status/start")
	want := map[string]any{"status": "stopped", "pool": "lab", "vmid": 100.0, "name": "control-0.mycluster.lab.test"}
	if diff := cmp.Diff(want, seen()); diff != "" {
		t.Errorf("just started (-want +got):\n%s", diff)
	}
	if got := l.call("GET", "/nodes/pve/qemu/100/status/current").Data.(map[string]any)["status"]; got != "running" {
		t.Errorf("status/current says %v, want it live", got)
	}
	l.until("the daemon saw it run", func() bool { return seen()["status"] == "running" })
}

func TestListsAreFilteredByRights(t *testing.T) {
	l := newLab(t, nil)
	l.machine()
	l.srv.AddVM(VMState{ID: 200, Name: "foreign"})
	vms := func(l *lab) (ids []float64) {
		list, _ := l.call("GET", "/nodes/pve/qemu").Data.([]any)
		for _, vm := range list {
			ids = append(ids, vm.(map[string]any)["vmid"].(float64))
		}
		return ids
	}
	for token, want := range map[string][]float64{"lab": {100}, "admin": {100, 200}, "none": nil} {
		if diff := cmp.Diff(want, vms(l.as(token))); diff != "" {
			t.Errorf("VMs of token %s (-want +got):\n%s", token, diff)
		}
	}
	if got := l.call("GET", "/cluster/nextid").Data; got != "101" {
		t.Errorf("nextid is %#v, want the string 101: IDs of foreign VMs count", got)
	}
}

func TestTasksOfOthersNeedSysAudit(t *testing.T) {
	l := newLab(t, nil)
	l.machine()
	upid := l.srv.tasks[0].upid
	if !strings.HasPrefix(upid, "UPID:pve:") || !strings.HasSuffix(upid, ":qmcreate:100:slipway@pve!lab:") {
		t.Errorf("UPID is %s", upid)
	}
	got := l.as("none").call("GET", "/nodes/pve/tasks/"+upid+"/status").Status
	if want := "403 Permission check failed (/nodes/pve, Sys.Audit)"; got != want {
		t.Errorf("status: %s, want %s", got, want)
	}
	log := l.as("admin").call("GET", "/nodes/pve/tasks/"+upid+"/log", "start", "1", "limit", "1").Data
	want := []any{map[string]any{"n": 2.0, "t": "scsi0: successfully created disk 'local-lvm:vm-100-disk-0,discard=on,iothread=1,size=120G'"}}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
