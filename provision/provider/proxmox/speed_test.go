package proxmox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

// A track is a datacentre of profile P1 without a network: requests reach the
// simulator in memory, so that time can be faked and is exact.
type track struct {
	server *pve.Server
	api    *client
	p      *Provider
}

func newTrack(t *testing.T, nodes int) track {
	t.Helper()
	var names []string
	for i := range nodes {
		names = append(names, fmt.Sprintf("pve%d", i+1))
	}
	server, err := pve.New(pve.Config{
		Dir: t.TempDir(), Speed: 1, Nodes: names, Pools: []string{"slipway"}, Durations: pve.P1(), MemoryPerNode: 4 << 40,
		Storages: []pve.Storage{{Name: "local-lvm", Type: "lvmthin", Content: []string{"images"}, Size: 1 << 50}},
		Tokens:   []pve.Token{{ID: "slipway@pve!ci", Secret: testToken[len("slipway@pve!ci="):], ACL: []pve.ACL{{Path: "/", Propagate: true, Roles: []string{"Administrator"}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	memory := wire(func(r *http.Request) (*http.Response, error) {
		reply, served := httptest.NewRecorder(), make(chan struct{})
		go func() { defer close(served); server.ServeHTTP(reply, r) }()
		select {
		case <-served:
			return reply.Result(), nil
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		}
	})
	cfg := Config{Endpoint: &url.URL{Scheme: "https", Host: "pve.lab.test:8006"}, Pool: "slipway",
		Storage: Storage{Disk: "local-lvm", ISO: "local"}, VMIDs: defaultVMIDs, Hardware: Hardware{CPUType: defaultCPUType}}
	p, err := Open(cfg, Options{Pace: 1, Lookup: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	token := firstUse(secret.Of("test", testToken))
	p.token = token
	if p.api, err = newClient(cfg.Endpoint, memory, token, 1); err != nil {
		t.Fatal(err)
	}
	return track{server, p.api, p}
}

// machines are allotted beforehand: that is a step of its own.
func (tr track) machines(t *testing.T, n int) []provider.Machine {
	t.Helper()
	mark := provider.Mark{Cluster: "mycluster.lab.test", ID: "0f8fad5b"}
	all := make([]provider.Machine, n)
	for i := range all {
		name := fmt.Sprintf("worker-%d.%s", i, mark.Cluster)
		m, err := tr.p.Allocate(t.Context(), provider.Machine{
			Node: fmt.Sprintf("worker-%d", i), Name: name, Mark: mark, UUID: uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name)),
			NICs: []provider.NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, byte(i >> 8), byte(i)}}}, CPUs: 4, Memory: 16 << 10, Disk: 100,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = m
	}
	return all
}

func (tr track) ours(t *testing.T, all []provider.Machine) time.Duration {
	begin := time.Now()
	var group sync.WaitGroup
	for _, m := range all {
		group.Go(func() {
			made, err := tr.p.Ensure(t.Context(), m)
			if err == nil {
				err = tr.p.PowerOn(t.Context(), made)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	return time.Since(begin)
}

// theirs is how the work is done with a fixed parallelism of ten and a look
// at each task every second.
func (tr track) theirs(t *testing.T, all []provider.Machine) time.Duration {
	begin := time.Now()
	at := make(chan struct{}, 10)
	var group sync.WaitGroup
	for _, m := range all {
		group.Go(func() {
			at <- struct{}{}
			defer func() { <-at }()
			params, err := tr.p.createParams(m)
			path := "/nodes/" + m.Place + "/qemu"
			if err == nil {
				err = tr.await(t.Context(), path, params)
			}
			if err == nil {
				err = tr.api.put(t.Context(), path+"/"+m.ID+"/config", map[string]any{"tags": "slipway"})
			}
			if err == nil {
				err = tr.await(t.Context(), path+"/"+m.ID+"/status/start", nil)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	return time.Since(begin)
}

func (tr track) await(ctx context.Context, path string, params map[string]any) error {
	handle, err := tr.api.post(ctx, path, params)
	if err != nil {
		return err
	}
	task, err := parseUPID(handle)
	var now taskStatus
	for err == nil && now.Status != "stopped" {
		if err := pace.Pace(1).Sleep(ctx, time.Second); err != nil {
			return err
		}
		err = tr.api.get(ctx, task.path()+"/status", &now)
	}
	if err == nil && now.Exit != "OK" {
		return errors.New(string(now.Exit))
	}
	return err
}

// Machines are created, tagged and started nearly as fast as anybody could, and with
// no more looks at tasks than there are machines when there are many.
func TestSpeed(t *testing.T) {
	for _, c := range []struct {
		vms, nodes int
		most       float64 // wall time by lower bound
		polls      int     // 0: any
	}{{5, 4, 1.10, 0}, {50, 4, 1.12, 0}, {500, 16, 1.15, 500}} {
		t.Run(fmt.Sprint(c.vms), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took, bound, polls := measure(t, c.vms, c.nodes)
				if float64(took) > c.most*float64(bound) { // one slow answer in a hundred may have hit the last machine
					took, bound, polls = measure(t, c.vms, c.nodes)
				}
				ratio := float64(took) / float64(bound)
				t.Logf("%d VMs on %d nodes (simulated, profile P1): %s, %.3f times the bound of %s, %d looks at tasks", c.vms, c.nodes, took, ratio, bound, polls)
				if ratio > c.most || c.polls > 0 && polls > c.polls {
					t.Errorf("%.3f times the bound, want at most %.2f; %d looks at tasks", ratio, c.most, polls)
				}
				other := newTrack(t, c.nodes)
				defer other.server.Close()
				slow := other.theirs(t, other.machines(t, c.vms))
				t.Logf("ten at a time and a look each second: %s, %.2f times as long", slow, float64(slow)/float64(took))
				if c.vms > 10 && slow < took*3/2 {
					t.Errorf("it is faster by %.2f only", float64(slow)/float64(took))
				}
			})
		})
	}
}

// measure has our provider make the machines, and checks that they run.
func measure(t *testing.T, vms, nodes int) (took, bound time.Duration, polls int) {
	t.Helper()
	tr := newTrack(t, nodes)
	defer tr.server.Close()
	bound = tr.server.LowerBound(pve.Load{VMs: vms, Operations: []pve.Operation{pve.OpCreate, pve.OpConfigure, pve.OpStart}}).Max()
	took = tr.ours(t, tr.machines(t, vms))
	for _, vm := range tr.server.VMs() {
		if !vm.Running {
			t.Errorf("VM %d does not run", vm.ID)
		}
	}
	requests := tr.server.Requests()
	return took, bound, requests["GET /nodes/{node}/tasks"] + requests["GET /nodes/{node}/tasks/{upid}/status"]
}
