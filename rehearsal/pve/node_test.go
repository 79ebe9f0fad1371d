package pve

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func fingerprintOf(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

func threeNodes(c *Config) { c.Nodes = []string{"pve", "pve2", "pve3"} }

// at serves another node and returns the lab as its client sees it.
func (l *lab) at(node string) *lab {
	l.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(l.t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); l.srv.ServeNode(ctx, listener, node) }()
	l.t.Cleanup(func() { l.client.CloseIdleConnections(); cancel(); <-ended })
	other := *l
	other.addr = listener.Addr().String()
	return &other
}

func TestEveryNodeAnswersWithItsOwnCertificate(t *testing.T) {
	l := newLab(t, threeNodes)
	other := l.at("pve2")
	resp, err := other.client.Do(other.request("GET", base+"/version", ""))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got, want := fingerprintOf(resp.TLS.PeerCertificates[0]), l.srv.NodeFingerprint("pve2"); got != want || got == l.srv.Fingerprint() {
		t.Errorf("fingerprint %s, want %s, that of the node's own certificate", got, want)
	}
	seen := map[string]any{}
	for _, n := range l.call("GET", "/nodes").Data.([]any) {
		seen[n.(map[string]any)["node"].(string)] = n.(map[string]any)["ssl_fingerprint"]
	}
	want := map[string]any{"pve": l.srv.NodeFingerprint("pve"), "pve2": l.srv.NodeFingerprint("pve2"), "pve3": l.srv.NodeFingerprint("pve3")}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("fingerprints in /nodes (-want +got):\n%s", diff)
	}
}

func TestClusterStatus(t *testing.T) {
	l := newLab(t, threeNodes)
	admin := l.at("pve2").as("admin")
	if err := l.srv.SetOffline("pve3", true); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"type": "cluster", "id": "cluster", "nodes": 3.0, "quorate": 1.0},
		{"type": "node", "id": "node/pve", "name": "pve", "nodeid": 1.0, "online": 1.0, "local": 0.0, "ip": "127.0.0.1"},
		{"type": "node", "id": "node/pve2", "name": "pve2", "nodeid": 2.0, "online": 1.0, "local": 1.0, "ip": "127.0.0.1"},
		{"type": "node", "id": "node/pve3", "name": "pve3", "nodeid": 3.0, "online": 0.0, "local": 0.0},
	}
	status := admin.call("GET", "/cluster/status")
	got := pick(status.Data, "type", "id", "nodes", "quorate", "nodeid", "online", "local", "ip", "name")
	delete(got[0], "name")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status %s (-want +got):\n%s", status.Status, diff)
	}
}

// A node that is away takes its tasks and the state of its VMs along; the
// others say so, and answer 595 for it.
func TestANodeGoesOffline(t *testing.T) {
	l := newLab(t, func(c *Config) { threeNodes(c); c.Durations.Stats = time.Nanosecond })
	l.srv.AddVM(VMState{ID: 200, Node: "pve2", Name: "there", Pool: "lab", Running: true})
	l.inject("task-slow,task=qmcreate,delay=1000h")
	create := l.call("POST", "/nodes/pve2/qemu", sound("100")...)
	i := l.inject("node-offline,node=pve2")
	for path, want := range map[string]string{
		"/nodes/pve2/qemu/200/config": "595 No route to host", "/nodes/pve2/storage": "595 No route to host",
		"/nodes/pve3/qemu": "200 OK", "/nodes/nope/qemu": "500 hostname lookup 'nope' failed - failed to get address info for: nope: Name or service not known",
	} {
		if got := l.call("GET", path).Status; got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	want := []map[string]any{{"node": "pve", "status": "online"}, {"node": "pve2", "status": "offline"}, {"node": "pve3", "status": "online"}}
	for _, path := range []string{"/nodes", "/cluster/resources?type=node"} {
		if diff := cmp.Diff(want, pick(l.send(l.request("GET", base+path, "")).Data, "node", "status")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	vms := []map[string]any{{"vmid": 200.0, "node": "pve2", "status": "unknown"}}
	if diff := cmp.Diff(vms, pick(l.call("GET", "/cluster/resources", "type", "vm").Data, "vmid", "node", "status")); diff != "" {
		t.Errorf("VMs (-want +got):\n%s", diff)
	}
	i.Clear()
	if exit := l.await(create); exit != "unexpected status" {
		t.Errorf("the task that ran there ended with %q", exit)
	}
	l.until("the VM that ran there is seen to be off", func() bool {
		return cmp.Equal(pick(l.call("GET", "/cluster/resources", "type", "vm").Data, "status"), []map[string]any{{"status": "stopped"}})
	})
}

func TestWithoutQuorumNothingIsChanged(t *testing.T) {
	l := newLab(t, threeNodes)
	l.machine()
	l.inject("node-offline,node=pve2")
	l.inject("node-offline,node=pve3")
	const want = "500 cluster not ready - no quorum?"
	for name, got := range map[string]string{
		"create": l.call("POST", "/nodes/pve/qemu", "vmid", "101", "pool", "lab").Status,
		"start":  l.call("POST", "/nodes/pve/qemu/100/status/start").Status,
		"put":    l.call("PUT", "/nodes/pve/qemu/100/config", "onboot", "1").Status,
	} {
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := l.call("GET", "/nodes/pve/qemu/100/config").Status; got != "200 OK" {
		t.Errorf("reading: %s", got)
	}
}

func TestTheNodeThatAnswersGoesOffline(t *testing.T) {
	l := newLab(t, threeNodes)
	other := l.at("pve2")
	i := l.inject("node-offline,node=pve")
	l.until("its port refuses connections", func() bool { return l.outcome(l.request("GET", base+"/version", "")) == "refused" })
	if got := other.call("GET", "/nodes/pve/qemu").Status; got != "595 No route to host" {
		t.Errorf("through another: %s", got)
	}
	i.Clear()
	l.until("it is back", func() bool { return strings.HasPrefix(l.outcome(l.request("GET", base+"/version", "")), "200") })
}

func TestAnUploadForANodeThatIsAway(t *testing.T) {
	l := newLab(t, threeNodes)
	l.inject("node-offline,node=pve2")
	req := l.uploadRequest(field("content", "iso") + filePart("x.iso", "data") + end)
	req.URL.Path = base + "/nodes/pve2/storage/local/upload"
	got := l.send(req).Status
	if want := "500 can't activate storage 'local' on node 'pve2': command '/usr/bin/ssh' failed: exit code 255"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLocksOfLocalStoragesAreOfOneNode(t *testing.T) {
	l := newLab(t, func(c *Config) {
		threeNodes(c)
		c.Durations.LockTimeout, c.Durations.Allocate = time.Millisecond, 24*time.Hour
		c.Storages = append(c.Storages, Storage{Name: "ceph", Type: "rbd", Content: []string{"images"}, Shared: true})
	})
	admin := l.as("admin")
	create := func(node, vmid, storage string) reply {
		return admin.call("POST", "/nodes/"+node+"/qemu", "vmid", vmid, "scsi0", storage+":8")
	}
	create("pve", "100", "local-lvm")
	create("pve", "101", "ceph")
	l.until("both allocate", func() bool {
		l.srv.locks.mu.Lock()
		defer l.srv.locks.mu.Unlock()
		return len(l.srv.locks.held["pve\x00/var/lock/pve-manager/pve-storage-local-lvm"])+len(l.srv.locks.held["cluster\x00storage-ceph"]) == 2
	})
	same := create("pve", "102", "local-lvm")
	shared := create("pve2", "103", "ceph")
	elsewhere := create("pve2", "104", "local-lvm")
	if got := admin.await(same); got != "unable to create VM 102 - can't lock file '/var/lock/pve-manager/pve-storage-local-lvm' - got timeout" {
		t.Errorf("on the same node: %s", got)
	}
	if got := admin.await(shared); got != "unable to create VM 103 - cfs-lock 'storage-ceph' error: got lock request timeout" {
		t.Errorf("in shared storage: %s", got)
	}
	if !strings.Contains(strings.Join(l.srv.RunningTasks(), " "), elsewhere.Data.(string)) {
		t.Error("on another node the lock is another one")
	}
}
