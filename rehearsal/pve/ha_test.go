package pve

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The HA stack takes orders and carries them out when its turn comes.
func TestStartAndStopOfHAResourcesAreFiled(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Durations.Stats = time.Nanosecond })
	l.machine()
	if err := l.srv.SetHA(100, "stopped"); err != nil {
		t.Fatal(err)
	}
	running := func() bool { return l.srv.VMs()[0].Running }
	for _, step := range []struct {
		verb, kind string
		want       bool
	}{{"start", "hastart", true}, {"stop", "hastop", false}, {"start", "hastart", true}} {
		r := l.call("POST", "/nodes/pve/qemu/100/status/"+step.verb)
		if got := l.await(r); got != "OK" {
			t.Fatalf("%s: %s", step.verb, got)
		}
		l.until(step.verb, func() bool { return running() == step.want })
		tasks := pick(l.as("admin").call("GET", "/nodes/pve/tasks", "source", "all", "typefilter", "qm"+step.verb).Data, "user", "id")
		if diff := cmp.Diff(map[string]any{"user": "root@pam", "id": "100"}, tasks[0]); diff != "" {
			t.Errorf("the task that did it (-want +got):\n%s", diff)
		}
	}
	r := l.call("POST", "/nodes/pve/qemu/100/status/stop", "overrule-shutdown", "1")
	if want := map[string]string{"overrule-shutdown": "Not applicable for HA resources."}; !cmp.Equal(r.Errors, want) {
		t.Errorf("overrule: %v", r.Errors)
	}
	if got := l.call("DELETE", "/nodes/pve/qemu/100").Status; got != "500 unable to remove VM 100 - used in HA resources and purge parameter not set." {
		t.Errorf("destroy: %s", got)
	}
	ha := l.call("GET", "/nodes/pve/qemu/100/status/current").Data.(map[string]any)["ha"]
	if diff := cmp.Diff(map[string]any{"managed": 1.0, "state": "started"}, ha); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	for path, key := range map[string]string{"/cluster/resources?type=vm": "hastate", "/cluster/ha/resources": "state"} {
		admin := l.as("admin")
		if diff := cmp.Diff([]map[string]any{{key: "started"}}, pick(admin.send(admin.request("GET", base+path, "")).Data, key)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestCreatingHAResourcesNeedsTheConsole(t *testing.T) {
	l := newLab(t, nil)
	if got := l.call("POST", "/nodes/pve/qemu", append(sound("100"), "ha-managed", "1")...).Status; got != "403 Permission check failed (/, Sys.Console)" {
		t.Errorf("without the privilege: %s", got)
	}
	if err := l.srv.Grant("slipway@pve!lab", ACL{Path: "/", Privileges: []string{"Sys.Console"}}); err != nil {
		t.Fatal(err)
	}
	l.machine("ha-managed", "1")
	ha := l.call("GET", "/nodes/pve/qemu/100/status/current").Data.(map[string]any)["ha"]
	if diff := cmp.Diff(map[string]any{"managed": 1.0, "state": "stopped"}, ha); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	old := newLab(t, func(c *Config) { c.Version = "8.4.1" })
	if got := old.call("POST", "/nodes/pve/qemu", append(sound("100"), "ha-managed", "1")...).Errors["ha-managed"]; got != unknownProperty {
		t.Errorf("release 8 says %q", got)
	}
}

func TestAResourceThatIsIgnoredIsStartedAtOnce(t *testing.T) {
	l := newLab(t, nil)
	l.machine()
	if err := l.srv.SetHA(100, "ignored"); err != nil {
		t.Fatal(err)
	}
	if got := l.task("POST", "/nodes/pve/qemu/100/status/start"); got != "OK" || !l.srv.VMs()[0].Running {
		t.Errorf("start: %s, %+v", got, l.srv.VMs())
	}
	if err := l.srv.SetHA(999, "started"); err == nil {
		t.Error("a VM that does not exist became a resource")
	}
}

func TestAVMThatMovedIsKnownToItsNewNodeOnly(t *testing.T) {
	l := newLab(t, threeNodes)
	l.machine()
	if err := l.srv.Migrate(100, "pve3"); err != nil {
		t.Fatal(err)
	}
	for node, want := range map[string]string{"pve3": "200 OK", "pve": "500 Configuration file 'nodes/pve/qemu-server/100.conf' does not exist"} {
		if got := l.call("GET", "/nodes/"+node+"/qemu/100/config").Status; got != want {
			t.Errorf("%s: %s, want %s", node, got, want)
		}
	}
	disks := pick(l.call("GET", "/nodes/pve3/storage/local-lvm/content", "content", "images").Data, "volid")
	if diff := cmp.Diff([]map[string]any{{"volid": "local-lvm:vm-100-disk-0"}}, disks); diff != "" {
		t.Errorf("disks (-want +got):\n%s", diff)
	}
	if got := l.task("POST", "/nodes/pve3/qemu/100/status/start"); got != "OK" {
		t.Errorf("start: %s", got)
	}
	if l.srv.Migrate(100, "nowhere") == nil || l.srv.Migrate(999, "pve") == nil {
		t.Error("nothing was moved, or nowhere, without error")
	}
}

func TestACloneSaysTheSameOfItselfButHasItsOwnDisks(t *testing.T) {
	l := newLab(t, nil)
	l.machine()
	if err := l.srv.Clone(100, 200, "lab"); err != nil {
		t.Fatal(err)
	}
	original, clone := l.srv.VMs()[0], l.srv.VMs()[1]
	want := original.Config
	want["scsi0"] = "local-lvm:vm-200-disk-0,discard=on,iothread=1,size=120G"
	if diff := cmp.Diff(VMState{ID: 200, Node: "pve", Name: original.Name, Pool: "lab", Config: want}, clone); diff != "" {
		t.Errorf("clone (-want +got):\n%s", diff)
	}
	if got := l.task("DELETE", "/nodes/pve/qemu/200"); got != "OK" || len(l.srv.volumes) != 1 {
		t.Errorf("destroy: %s, left %v", got, l.srv.volumes)
	}
	if l.srv.Clone(100, 100, "") == nil || l.srv.Clone(999, 1000, "") == nil {
		t.Error("a clone of nothing, or over something, was made")
	}
}
