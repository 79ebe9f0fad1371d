package pve

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLowerBound(t *testing.T) {
	nodes := func(n int) (names []string) {
		for i := range n {
			names = append(names, "pve"+strconv.Itoa(i))
		}
		return names
	}
	up := []Operation{OpCreate, OpStart}
	const s, ms = time.Second, time.Millisecond
	cases := []struct {
		name  string
		nodes int
		load  Load
		want  Bound
		max   time.Duration
	}{
		{"one VM is its chain", 1, Load{VMs: 1, Operations: up}, Bound{4600 * ms, 2300 * ms, 4600 * ms}, 4600 * ms},
		{"5 VMs on 4 nodes", 4, Load{VMs: 5, Operations: up}, Bound{4600 * ms, 2600 * ms, 5 * s}, 5 * s},
		{"50 VMs on 4 nodes", 4, Load{VMs: 50, Operations: up}, Bound{4600 * ms, 4700 * ms, 9400 * ms}, 9400 * ms},
		{"500 VMs on 16 nodes", 16, Load{VMs: 500, Operations: up}, Bound{4600 * ms, 8600 * ms, 17 * s}, 17 * s},
		{"in shared storage", 16, Load{VMs: 50, Operations: up, Storage: "ceph"}, Bound{4600 * ms, 2900 * ms, 24200 * ms}, 24200 * ms},
		{"two disks each", 1, Load{VMs: 2, Operations: up, Disks: 2}, Bound{5 * s, 2600 * ms, 5800 * ms}, 5800 * ms},
		{"without creation locks do not matter", 1, Load{VMs: 30, Operations: []Operation{OpConfigure}}, Bound{300 * ms, 3 * s, 0}, 3 * s},
		{"nothing to do", 1, Load{VMs: 3}, Bound{}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			srv, err := New(Config{Dir: t.TempDir(), Nodes: nodes(c.nodes), Durations: P1(),
				Storages: []Storage{{Name: "ceph", Type: "rbd", Content: []string{"images"}}}})
			if err != nil {
				t.Fatal(err)
			}
			defer srv.Close()
			got := srv.LowerBound(c.load)
			if diff := cmp.Diff(c.want, got); diff != "" || got.Max() != c.max {
				t.Errorf("bound, at most %v, want %v (-want +got):\n%s", got.Max(), c.max, diff)
			}
		})
	}
}

// Nobody is faster than the bound, and who knows when a task ends comes close
// to it.
func TestTheBoundIsABound(t *testing.T) {
	const vms, speed = 6, 20
	l := newLab(t, func(c *Config) {
		c.Speed, c.Durations, c.Nodes = speed, P1(), []string{"pve", "pve2"}
		c.Durations.SlowRequest = c.Durations.Request
	})
	bound := l.srv.LowerBound(Load{VMs: vms, Operations: []Operation{OpCreate, OpStart}}).Max()
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range vms {
		wg.Go(func() {
			node, id := l.srv.cfg.Nodes[i%2], strconv.Itoa(100+i)
			l.end(l.call("POST", "/nodes/"+node+"/qemu", "vmid", id, "pool", "lab", "scsi0", "local-lvm:8"))
			l.end(l.call("POST", "/nodes/"+node+"/qemu/"+id+"/status/start"))
		})
	}
	wg.Wait()
	took := time.Since(begin)
	if took < bound || took > 10*bound {
		t.Errorf("took %v, the bound is %v", took, bound)
	}
	for _, vm := range l.srv.VMs() {
		if !vm.Running {
			t.Errorf("VM %d does not run", vm.ID)
		}
	}
}

// end waits for a task without asking the API.
func (l *lab) end(r reply) {
	upid, _ := r.Data.(string)
	l.srv.mu.Lock()
	var done chan struct{}
	for _, t := range l.srv.tasks {
		if t.upid == upid {
			done = t.done
		}
	}
	l.srv.mu.Unlock()
	if done == nil {
		l.t.Errorf("no task: %+v", r)
		return
	}
	<-done
}

func TestRequestsAreCounted(t *testing.T) {
	l := newLab(t, nil)
	l.call("GET", "/version")
	l.call("GET", "/nodes/pve/qemu", "full", "1")
	l.call("GET", "/nodes/pve/qemu", "colour", "red")
	l.call("GET", "/nothing")
	want := map[string]int{"GET /version": 1, "GET /nodes/{node}/qemu": 2}
	if diff := cmp.Diff(want, l.srv.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestReset(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Faults = []Fault{{Kind: StatusReply, Status: 596, Path: "/cluster/nextid"}} })
	l.machine()
	l.await(l.send(l.uploadRequest(field("content", "iso") + filePart("x.iso", "x") + end)))
	l.inject("status,status=595,path=/version")
	l.inject("task-slow,task=qmcreate,delay=1000h")
	l.call("POST", "/nodes/pve/qemu", "vmid", "101", "pool", "lab")
	if err := l.srv.Reset(); err != nil {
		t.Fatal(err)
	}
	if len(l.srv.VMs())+len(l.srv.volumes)+len(l.stored())+len(l.srv.tasks)+len(l.srv.Requests()) != 0 {
		t.Errorf("left: %v %v %v %v %v", l.srv.VMs(), l.srv.volumes, l.stored(), l.srv.RunningTasks(), l.srv.Requests())
	}
	if diff := cmp.Diff([]string{"destroy", "destroy"}, l.power.log()); diff != "" {
		t.Errorf("hypervisor (-want +got):\n%s", diff)
	}
	for path, want := range map[string]string{"/version": "200 OK", "/cluster/nextid": "596 Connection timed out"} {
		if got := l.call("GET", path).Status; got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	l.machine()
}
