package proxmox_test

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

var mark = provider.Mark{Cluster: "mycluster.lab.test", ID: "0f8fad5b"}

func node(i int) provider.Machine {
	name := fmt.Sprintf("control-%d.%s", i, mark.Cluster)
	return provider.Machine{
		Node: fmt.Sprintf("control-%d", i), Name: name, Mark: mark, UUID: uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name)),
		NICs: []provider.NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(i)}, MTU: 1400}},
		CPUs: 4, Memory: 16384, Disk: 100,
	}
}

func create(t *testing.T, p *proxmox.Provider, m provider.Machine) provider.Machine {
	t.Helper()
	m, err := p.Allocate(bounded(t), m, nil)
	if err == nil {
		m, err = p.Ensure(bounded(t), m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (d *datacentre) vm(id string) pve.VMState {
	d.t.Helper()
	for _, v := range d.server.VMs() {
		if strconv.Itoa(v.ID) == id {
			return v
		}
	}
	d.t.Fatalf("there is no VM %s", id)
	return pve.VMState{}
}

func TestContract(t *testing.T) {
	schemas(t) // skips without them; newDatacentre compares
	d := newDatacentre(t, nil)
	p, ctx := d.open(), bounded(t)
	for _, problem := range p.Check(ctx, provider.Request{Machines: []provider.Machine{node(0)}}) {
		if problem.Fatal {
			t.Error(problem)
		}
	}
	m := create(t, p, node(0))
	ref, err := p.Put(ctx, iso(t, 1000), []string{"pve1", "pve2"}, nil)
	err = errors.Join(err, p.Insert(ctx, m, ref), p.PowerOn(ctx, m), p.Eject(ctx, m), p.PowerOff(ctx, m), p.Release(ctx, m), p.Drop(ctx, ref))
	if err != nil {
		t.Fatal(err)
	}
	made := make(map[string]bool)
	for _, r := range d.seen {
		made[r.method+" "+r.template] = true
	}
	delete(made, "GET /nodes/{node}/tasks") // when a node happened to have two tasks at once
	want := []string{
		"DELETE /nodes/{node}/qemu/{vmid}",
		"DELETE /nodes/{node}/storage/{storage}/content/{volume}",
		"GET /access/permissions",
		"GET /cluster/resources",
		"GET /cluster/status",
		"GET /cluster/tasks",
		"GET /nodes",
		"GET /nodes/{node}/network",
		"GET /nodes/{node}/qemu",
		"GET /nodes/{node}/qemu/{vmid}/config",
		"GET /nodes/{node}/storage",
		"GET /nodes/{node}/storage/{storage}/content",
		"GET /nodes/{node}/tasks/{upid}/status",
		"GET /version",
		"POST /nodes/{node}/qemu",
		"POST /nodes/{node}/qemu/{vmid}/status/start",
		"POST /nodes/{node}/qemu/{vmid}/status/stop",
		"POST /nodes/{node}/storage/{storage}/upload",
		"PUT /nodes/{node}/qemu/{vmid}/config",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(made))); diff != "" {
		t.Errorf("calls made (-want +got):\n%s", diff)
	}
}

func TestWhatIsCreated(t *testing.T) {
	d := newDatacentre(t, nil)
	m := create(t, d.open(), node(1))
	got := d.vm(m.ID)
	_, options, _ := strings.Cut(got.Config["scsi0"], ",")
	want := map[string]string{
		"agent": "1", "boot": "order=scsi0;ide2", "cores": "4", "cpu": "host",
		"description": got.Config["description"], "ide2": "none,media=cdrom", "machine": "q35", "memory": "16384",
		"meta": got.Config["meta"], "name": "control-1.mycluster.lab.test",
		"net0": "virtio=02:00:00:00:00:01,bridge=vmbr0,mtu=1400", "numa": "0", "onboot": "0", "ostype": "l26",
		"scsi0": got.Config["scsi0"], "scsihw": "virtio-scsi-single", "serial0": "socket",
		"smbios1": "uuid=" + m.UUID.String(), "sockets": "1", "tags": "slipway", "vmgenid": got.Config["vmgenid"],
	}
	for _, optional := range []string{"meta", "vmgenid"} {
		if want[optional] == "" {
			delete(want, optional)
		}
	}
	if diff := cmp.Diff(want, got.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if want := "discard=on,iothread=1,size=100G,ssd=1"; options != want {
		t.Errorf("the disk has options %q, want %q", options, want)
	}
	if got.Pool != "slipway" || got.Running {
		t.Errorf("pool %q, running %v", got.Pool, got.Running)
	}
	wantText := "Node control-1.mycluster.lab.test of cluster mycluster.lab.test, made by slipway. Keep the next line: it says whose this is.\n\n" +
		"slipway-mark-v1 cluster=mycluster.lab.test id=0f8fad5b name=control-1.mycluster.lab.test vmid=" + m.ID
	if diff := cmp.Diff(wantText, strings.TrimSpace(got.Config["description"])); diff != "" {
		t.Errorf("description (-want +got):\n%s", diff)
	}
}

// A clone has the mark of its origin, and is not ours all the same.
func TestCloneIsForeign(t *testing.T) {
	d := newDatacentre(t, nil)
	p := d.open()
	m := create(t, p, node(0))
	clone := d.vm(m.ID)
	clone.ID++
	clone.Running = true
	d.server.AddVM(clone)
	found, err := p.Find(bounded(t), mark)
	if err != nil || len(found) != 1 || found[0].ID != m.ID {
		t.Errorf("Find: %v, %v", found, err)
	}
	cloned := m
	cloned.ID = strconv.Itoa(clone.ID)
	if err := p.Release(bounded(t), cloned); err == nil {
		t.Error("Release of a clone with name and UUID of ours is silent")
	}
	if !d.running(cloned.ID) {
		t.Error("the clone was touched")
	}
}

func TestReleaseSaysThatTheMarkIsMissing(t *testing.T) {
	d := newDatacentre(t, nil)
	p := d.open()
	m := create(t, p, node(0))
	stripped := d.vm(m.ID)
	stripped.Config["description"] = "mine now"
	d.server.AddVM(stripped)
	err := p.Release(bounded(t), m)
	want := "release machine control-0.mycluster.lab.test: VM " + m.ID + " has its name and UUID, but the mark in its description is missing"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v\nwant %s", err, want)
	}
	wantHint := fmt.Sprintf("it was not touched; if it is to go, run on node %s: qm stop %s && qm destroy %s --purge", m.Place, m.ID, m.ID)
	if got := hint.Of(err); got != wantHint {
		t.Errorf("hint is %q, want %q", got, wantHint)
	}
	d.vm(m.ID)
}

// A machine that HA or somebody moved is followed.
func TestMovedMachine(t *testing.T) {
	d := newDatacentre(t, nil)
	p := d.open()
	m := create(t, p, node(0))
	moved := d.vm(m.ID)
	moved.Node = map[string]string{"pve1": "pve2", "pve2": "pve1"}[moved.Node]
	d.server.AddVM(moved)
	if err := p.PowerOn(bounded(t), m); err != nil {
		t.Fatal(err)
	}
	found, err := p.Find(bounded(t), mark)
	if err != nil || len(found) != 1 || found[0].Place != moved.Node || found[0].Power != provider.PowerOn {
		t.Errorf("Find: %+v, %v", found, err)
	}
	if err := p.Release(bounded(t), m); err != nil {
		t.Fatal(err)
	}
	if left := d.machines(); len(left) != 0 {
		t.Errorf("VMs %v are left", left)
	}
}

func TestAdrift(t *testing.T) {
	d := newDatacentre(t, nil)
	p := d.open()
	m := create(t, p, node(0))
	changed := d.vm(m.ID)
	changed.Name, changed.Config["memory"], changed.Config["boot"] = "renamed", "2048", "order=ide2"
	d.server.AddVM(changed)
	byHand := []string{`it was renamed to "renamed"`, `its boot order is "order=ide2", not "order=scsi0;ide2"`}
	found, err := p.Find(bounded(t), mark)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(byHand, found[0].Adrift); diff != "" {
		t.Errorf("Find (-want +got):\n%s", diff)
	}
	adopted, err := p.Ensure(bounded(t), m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append(byHand, "memory in MiB: asked for 16384, it has 2048"), adopted.Adrift); diff != "" {
		t.Errorf("Ensure (-want +got):\n%s", diff)
	}
}

// What PVE says late is said with its words, the handle and advice.
func TestFailedStart(t *testing.T) {
	d := newDatacentre(t, nil)
	p := d.open()
	m := create(t, p, node(0))
	broken := d.vm(m.ID)
	broken.Config["cores"] = "64"
	d.server.AddVM(broken)
	err := p.PowerOn(bounded(t), m)
	var failed *proxmox.TaskError
	if !errors.As(err, &failed) {
		t.Fatalf("error is %v", err)
	}
	want := fmt.Sprintf("power on machine control-0.mycluster.lab.test: task qmstart on node %q: MAX 32 vcpus allowed per VM on this node (%s)", m.Place, failed.UPID)
	if err.Error() != want {
		t.Errorf("error is %q\nwant %q", err, want)
	}
}

func TestAllocate(t *testing.T) {
	d := newDatacentre(t, nil)
	cfg := d.config()
	cfg.VMIDs, cfg.Nodes = proxmox.Range{First: 500, Last: 502}, []string{"pve2"}
	p := d.openWith(cfg)
	var ids []string
	for i := range 2 {
		m, err := p.Allocate(bounded(t), node(i), []string{"501"})
		if err != nil || m.Place != "pve2" {
			t.Fatalf("machine %+v, error %v", m, err)
		}
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	if diff := cmp.Diff([]string{"500", "502"}, ids); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	_, err := p.Allocate(bounded(t), node(2), []string{"501"})
	if want := "allocate machine control-2.mycluster.lab.test: no VMID of 500-502 is free"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	a, err1 := d.open().Allocate(bounded(t), node(0), nil)
	b, err2 := d.open().Allocate(bounded(t), node(0), nil)
	if err1 != nil || err2 != nil || a.ID != b.ID {
		t.Errorf("two runs choose %s and %s (%v, %v)", a.ID, b.ID, err1, err2)
	}
}

// A run over what is there already is cheap for the server: what `up` asks
// before it finds that there is nothing to do.
func TestNothingToDoTakesFewCalls(t *testing.T) {
	d := newDatacentre(t, func(c *pve.Config) { c.Nodes = []string{"pve1", "pve2", "pve3"} })
	p := d.open()
	var want provider.Request
	var group sync.WaitGroup
	for i := range 5 {
		group.Go(func() {
			m := create(t, p, node(i))
			if err := p.PowerOn(bounded(t), m); err != nil {
				t.Error(err)
			}
		})
		want.Machines = append(want.Machines, node(i))
	}
	group.Wait()
	d.awaitNames()
	d.seen = nil
	p, err := proxmox.Open(d.config(), proxmox.Options{Pace: 1, Lookup: environment("slipway@pve!test=" + ourSecret)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Check(bounded(t), want)
	found, err := p.Find(bounded(t), mark)
	if err != nil || len(found) != 5 {
		t.Fatalf("%d machines, %v", len(found), err)
	}
	for range 2 { // once to plan, once to see that the image is stored
		if _, err := p.Images(bounded(t), mark); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(d.seen); n > 25 {
		t.Errorf("it took %d calls, want at most 25: %v", n, d.seen)
	}
}

// awaitNames waits for the statistics that tell names in the list of guests.
func (d *datacentre) awaitNames() {
	d.t.Helper()
	nameless := func(g listed) bool { return g.Name == "" }
	for slices.ContainsFunc(d.guests(), nameless) {
		if err := speed.Wait(bounded(d.t), time.Second); err != nil {
			d.t.Fatal(err)
		}
	}
}
