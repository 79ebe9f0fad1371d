package proxmox_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

// A whole life succeeds although every fourth reply is lost, whatever the
// call, after the server has carried it out.
func TestLifeWithLostReplies(t *testing.T) {
	d := newDatacentre(t, nil)
	var calls atomic.Int32
	d.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if calls.Add(1)%4 == 0 && !strings.HasSuffix(r.URL.Path, "/upload") {
			d.swallow(r)
		}
		return false
	}
	p, ctx := d.open(), bounded(t)
	for i := range 3 {
		m := create(t, p, node(i))
		ref, err := p.Put(ctx, iso(t, 1000), []string{"pve1", "pve2"}, nil)
		err = errors.Join(err, p.Insert(ctx, m, ref), p.PowerOn(ctx, m), p.Eject(ctx, m), p.PowerOff(ctx, m))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(d.machines()); n != 1 {
			t.Errorf("there are %d machines, want 1", n)
		}
		if err := errors.Join(p.Release(ctx, m), p.Drop(ctx, ref)); err != nil {
			t.Fatal(err)
		}
	}
	if left, images := d.machines(), d.server.Images(); len(left)+len(images) != 0 {
		t.Errorf("VMs %v and images %v are left", left, images)
	}
}

// A datacenter may refuse tags; nothing is decided by them.
func TestRefusedTags(t *testing.T) {
	d := newDatacentre(t, nil)
	d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		http.Error(w, `{"data":null,"message":"Permission check failed (/vms/20000, VM.Config.Options)\n"}`, http.StatusForbidden)
		return true
	}
	p := d.open()
	m := create(t, p, node(0))
	found, err := p.Find(bounded(t), mark)
	if err != nil || len(found) != 1 || found[0].ID != m.ID || len(found[0].Tags) != 0 {
		t.Errorf("Find: %+v, %v", found, err)
	}
}

// Proxmox VE before 8.2 has no overrule-shutdown.
func TestPowerOffOfAnOlderServer(t *testing.T) {
	d := newDatacentre(t, nil)
	d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/status/stop") || r.ContentLength == 0 {
			return false
		}
		http.Error(w, `{"data":null,"errors":{"overrule-shutdown":"property is not defined in schema and the schema does not allow additional properties"}}`, http.StatusBadRequest)
		return true
	}
	p := d.open()
	m := create(t, p, node(0))
	if err := errors.Join(p.PowerOn(bounded(t), m), p.PowerOff(bounded(t), m)); err != nil {
		t.Fatal(err)
	}
	if d.running(m.ID) {
		t.Error("it still runs")
	}
}

// A run that ends while a create is under way is continued by the next one.
func TestNextRunWaitsForTheCreate(t *testing.T) {
	d := newDatacentre(t, nil)
	p := d.open()
	m, err := p.Allocate(bounded(t), node(0), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, crash := context.WithCancel(bounded(t))
	defer crash()
	ctx = provider.WithRecorder(ctx, func(string) error { crash(); return nil })
	if _, err := p.Ensure(ctx, m); !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
	if _, err := d.open().Ensure(bounded(t), m); err != nil {
		t.Fatal(err)
	}
	if n := d.count(http.MethodPost, "/nodes/{node}/qemu"); n > 2 {
		t.Errorf("%d creates were sent", n)
	}
	if d.machines()[0] != m.ID || len(d.machines()) != 1 {
		t.Errorf("machines %v, want %s", d.machines(), m.ID)
	}
}

// interrupt calls do with a context that ends at the moment the handle of a
// task of the kind is known, and returns the handle.
func interrupt(t *testing.T, kind string, do func(context.Context) error) string {
	t.Helper()
	ctx, crash := context.WithCancel(bounded(t))
	defer crash()
	var handle string
	ctx = provider.WithRecorder(ctx, func(h string) error {
		if strings.Contains(h, ":"+kind+":") {
			handle = h
			crash()
		}
		return nil
	})
	if err := do(ctx); !errors.Is(err, context.Canceled) || handle == "" {
		t.Fatalf("error is %v, handle %q", err, handle)
	}
	return handle
}

// A run that ends while an image is being copied is continued by the next
// one: nothing is sent twice.
func TestNextRunWaitsForTheUpload(t *testing.T) {
	d := newDatacentre(t, func(c *pve.Config) {
		c.Faults = []pve.Fault{{Kind: pve.TaskSlow, Task: "imgcopy", Delay: 30 * time.Second}}
	})
	img := iso(t, 1000)
	put := func(ctx context.Context) error {
		_, err := d.open().Put(ctx, img, []string{"pve1"}, nil)
		return err
	}
	interrupt(t, "imgcopy", put)
	if err := put(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if n := d.count(http.MethodPost, "/nodes/{node}/storage/{storage}/upload"); n != 1 {
		t.Errorf("%d uploads, want 1", n)
	}
}

// A run that ends while an image is being deleted does not make the next one
// believe that it is stored: it is listed until the very end.
func TestNextRunWaitsForTheDeletion(t *testing.T) {
	d := newDatacentre(t, func(c *pve.Config) {
		c.Faults = []pve.Fault{{Kind: pve.TaskSlow, Task: "imgdel", Delay: 30 * time.Second}}
	})
	img, ref := iso(t, 1000), ""
	put := func() (err error) {
		ref, err = d.open().Put(bounded(t), img, []string{"pve1"}, nil)
		return err
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	interrupt(t, "imgdel", func(ctx context.Context) error { return d.open().Drop(ctx, ref) })
	if err := put(); err != nil {
		t.Fatal(err)
	}
	if n := d.count(http.MethodPost, "/nodes/{node}/storage/{storage}/upload"); n != 2 || len(d.server.Images()) != 1 {
		t.Errorf("%d uploads, want 2; images %v", n, d.server.Images())
	}
}

// Destroying, starting and stopping are waited for too.
func TestNextRunWaitsForTheTask(t *testing.T) {
	for _, c := range []struct {
		task    string
		running bool
		do      func(context.Context, *proxmox.Provider, provider.Machine) error
		left    int
	}{
		{"qmdestroy", false, func(ctx context.Context, p *proxmox.Provider, m provider.Machine) error { return p.Release(ctx, m) }, 0},
		{"qmstop", true, func(ctx context.Context, p *proxmox.Provider, m provider.Machine) error { return p.Release(ctx, m) }, 0},
		{"qmstart", false, func(ctx context.Context, p *proxmox.Provider, m provider.Machine) error { return p.PowerOn(ctx, m) }, 1},
	} {
		t.Run(c.task, func(t *testing.T) {
			d := newDatacentre(t, func(cfg *pve.Config) {
				cfg.Faults = []pve.Fault{{Kind: pve.TaskSlow, Task: c.task, Delay: 30 * time.Second}}
			})
			m := create(t, d.open(), node(0))
			if c.running {
				if err := d.open().PowerOn(bounded(t), m); err != nil {
					t.Fatal(err)
				}
			}
			interrupt(t, c.task, func(ctx context.Context) error { return c.do(ctx, d.open(), m) })
			if err := c.do(bounded(t), d.open(), m); err != nil {
				t.Fatal(err)
			}
			if left := d.machines(); len(left) != c.left || c.left == 1 && !d.running(m.ID) {
				t.Errorf("machines %v are there", left)
			}
		})
	}
}

// A whole life succeeds under faults that pass.
func TestLifeUnderFaults(t *testing.T) {
	for _, text := range []string{
		"lock-timeout,storage=local-lvm,times=3",
		"lock-timeout,id=25660,times=2",
		"task-warns",
		"status,status=595,method=GET,times=4",
		"status,status=596,method=GET,skip=3,times=4",
		"status,status=599,method=GET,skip=9,times=4",
		"status,status=596,method=POST,times=1",
		"status,status=596,method=DELETE,times=1",
		"lost-reply,method=DELETE,times=1",
		"lost-reply,method=PUT,times=2",
		"dropped-call,method=POST,times=2",
		"upload-aborted,bytes=500,times=1",
		"slow-reply,delay=20s,times=5",
		"task-slow,delay=30s",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			fault, err := pve.ParseFault(text)
			if err != nil {
				t.Fatal(err)
			}
			d := newDatacentre(t, nil)
			struck, err := d.server.Inject(fault)
			if err != nil {
				t.Fatal(err)
			}
			if err := life(bounded(t), d.open(), iso(t, 1000), new(provider.Machine)); err != nil {
				t.Error(err)
			}
			if struck.Hits() == 0 {
				t.Error("the fault never struck")
			}
			struck.Clear()
			if left, images := d.machines(), d.server.Images(); len(left)+len(images) > 0 {
				t.Errorf("VMs %v and images %v are left", left, images)
			}
		})
	}
}

// A machine that somebody protected stays, with advice.
func TestReleaseOfAProtectedMachine(t *testing.T) {
	d := newDatacentre(t, nil)
	p := d.open()
	m := create(t, p, node(0))
	kept := d.vm(m.ID)
	kept.Config["protection"] = "1"
	d.server.AddVM(kept)
	err := p.Release(bounded(t), m)
	if !errors.Is(err, proxmox.Protected) || !strings.Contains(hint.Of(err), "--protection 0") {
		t.Errorf("error is %v, hint %q", err, hint.Of(err))
	}
	d.vm(m.ID)
}

// An old server, whose words are in the reason phrase only, is understood.
func TestLifeOnAnOldServer(t *testing.T) {
	d := newDatacentre(t, func(c *pve.Config) {
		c.Version, c.Faults = "8.2.4", []pve.Fault{{Kind: pve.MessageInReason}}
	})
	if err := life(bounded(t), d.open(), iso(t, 1000), new(provider.Machine)); err != nil {
		t.Fatal(err)
	}
	p := d.open()
	m := create(t, p, node(0))
	other := d.vm(m.ID)
	other.Config["description"] = "mine"
	d.server.AddVM(other)
	if _, err := d.open().Ensure(bounded(t), m); !errors.Is(err, provider.ErrTaken) {
		t.Errorf("error is %v", err)
	}
}

// To a token confined to a pool a machine that is gone is forbidden: that
// it is gone is seen in the list of guests.
func TestReleaseIsDecidedByTheList(t *testing.T) {
	d := newDatacentre(t, nil)
	p := d.open()
	m := create(t, p, node(0))
	deletes := 0
	d.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodDelete {
			return false
		}
		if deletes++; deletes > 1 {
			return false
		}
		d.server.ServeHTTP(httptest.NewRecorder(), r)
		for len(d.machines()) != 0 && speed.Wait(r.Context(), 0) == nil {
		}
		panic(http.ErrAbortHandler)
	}
	if err := p.Release(bounded(t), m); err != nil {
		t.Fatal(err)
	}
	if deletes != 2 {
		t.Errorf("%d DELETEs were sent, want 2", deletes)
	}
}

// A machine that an earlier run is still destroying is gone in the end, at
// whatever call its configuration vanishes.
func TestReleaseWhileItVanishes(t *testing.T) {
	for _, at := range []string{"/config", "/status/stop", ""} {
		t.Run("at "+at, func(t *testing.T) {
			d := newDatacentre(t, nil)
			p := d.open()
			m := create(t, p, node(0))
			if err := p.PowerOn(bounded(t), m); err != nil {
				t.Fatal(err)
			}
			d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, "/qemu/"+m.ID+at) && (at != "" || r.Method == http.MethodDelete) {
					id, _ := strconv.Atoi(m.ID)
					d.server.RemoveVM(id)
				}
				return false
			}
			if err := p.Release(bounded(t), m); err != nil {
				t.Error(err)
			}
		})
	}
}

// A machine that vanishes between the list of guests and that of its node (a
// destroy that an earlier run began) is not found, and no error.
func TestFindWhileOneIsDestroyed(t *testing.T) {
	d := newDatacentre(t, nil)
	p := d.open()
	gone, stays := create(t, p, node(0)), create(t, p, node(1))
	d.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/"+gone.Place+"/qemu") {
			id, _ := strconv.Atoi(gone.ID)
			d.server.RemoveVM(id)
		}
		return false
	}
	found, err := p.Find(bounded(t), mark)
	if err != nil || len(found) != 1 || found[0].ID != stays.ID {
		t.Errorf("Find: %+v, %v", found, err)
	}
}

// So is one that vanishes between the list and the look at it.
func TestFindWhileOneVanishes(t *testing.T) {
	for _, answer := range []struct {
		status  int
		message string
	}{
		{http.StatusInternalServerError, "Configuration file 'nodes/pve1/qemu-server/20000.conf' does not exist"},
		{http.StatusForbidden, "Permission check failed (/vms/20000, VM.Audit)"},
	} {
		t.Run(answer.message, func(t *testing.T) {
			d := newDatacentre(t, nil)
			p := d.open()
			gone, stays := create(t, p, node(0)), create(t, p, node(1))
			d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/qemu/"+gone.ID+"/config") {
					return false
				}
				http.Error(w, `{"data":null,"message":"`+answer.message+`\n"}`, answer.status)
				return true
			}
			found, err := p.Find(bounded(t), mark)
			if err != nil || len(found) != 1 || found[0].ID != stays.ID {
				t.Errorf("Find: %+v, %v", found, err)
			}
		})
	}
}
