package proxmox_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
)

// cancelled is how soon everything ends that is cancelled.
const cancelled = 500 * time.Millisecond

// A silence keeps back the answers to some requests. It is safe for
// concurrent use.
type silence struct {
	method, path string // of the requests; the path is part of theirs
	after        int    // of them are waited for
	answer       string // given at once, in the server's stead; "" keeps silent

	mu     sync.Mutex
	met    int
	fallen chan struct{} // closed when so many have been met
	over   chan struct{} // closed by the test: the silence ends
}

func (s *silence) meets(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != s.method || !strings.Contains(r.URL.Path, s.path) {
		return false
	}
	s.mu.Lock()
	if s.met++; s.met == s.after {
		close(s.fallen)
	}
	s.mu.Unlock()
	if s.answer != "" {
		http.Error(w, s.answer, http.StatusInternalServerError)
		return true
	}
	<-s.over
	return true
}

// Whatever is waited for, a cancelled context ends it at once.
func TestEveryWaitIsCancelled(t *testing.T) {
	type call = func(context.Context, *proxmox.Provider, provider.Machine) error
	allocate := func(ctx context.Context, p *proxmox.Provider, _ provider.Machine) error {
		_, err := p.Allocate(ctx, node(9), nil)
		return err
	}
	ensure := func(ctx context.Context, p *proxmox.Provider, m provider.Machine) error {
		_, err := p.Ensure(ctx, m)
		return err
	}
	find := func(ctx context.Context, p *proxmox.Provider, _ provider.Machine) error {
		_, err := p.Find(ctx, mark)
		return err
	}
	on := func(ctx context.Context, p *proxmox.Provider, m provider.Machine) error { return p.PowerOn(ctx, m) }
	release := func(ctx context.Context, p *proxmox.Provider, m provider.Machine) error { return p.Release(ctx, m) }
	img := iso(t, 2_000_000)
	put := func(ctx context.Context, p *proxmox.Provider, _ provider.Machine) error {
		_, err := p.Put(ctx, img, []string{"pve1"}, nil)
		return err
	}
	for _, c := range []struct {
		name   string
		at     *silence
		do     call
		others int  // more of the same at once, for machines of their own
		made   bool // they are there
	}{
		{name: "placement, nodes", at: &silence{method: "GET", path: "/api2/json/nodes", after: 1}, do: allocate},
		{name: "placement, guests", at: &silence{method: "GET", path: "/cluster/resources", after: 1}, do: allocate},
		{name: "shared list", at: &silence{method: "GET", path: "/cluster/resources", after: 1}, do: find},
		{name: "call", at: &silence{method: "POST", path: "/qemu", after: 1}, do: ensure},
		// 6 requests of 8 changes are under way, and the others wait
		{name: "window", at: &silence{method: "POST", path: "/qemu", after: 6}, do: ensure, others: 23},
		{name: "watch of a task", at: &silence{method: "GET", path: ":qmcreate:", after: 1}, do: ensure},
		{name: "watch of a start", at: &silence{method: "GET", path: ":qmstart:", after: 1}, do: on, made: true},
		{name: "watch of a list of tasks", at: &silence{method: "GET", path: "/tasks", after: 1}, do: ensure, others: 5},
		{name: "lock that times out", at: &silence{method: "POST", path: "/status/start", after: 2, answer: `{"data":null,"message":"can't lock file '/var/lock/qemu-server/lock-20000.conf' - got timeout\n"}`}, do: on, made: true},
		{name: "destruction", at: &silence{method: "DELETE", path: "/qemu/", after: 1}, do: release, made: true},
		{name: "tasks of an earlier run", at: &silence{method: "GET", path: "/cluster/tasks", after: 1}, do: put},
		{name: "upload that nobody reads", at: &silence{method: "POST", path: "/upload", after: 1}, do: put},
		{name: "copy on the node", at: &silence{method: "GET", path: ":imgcopy:", after: 1}, do: put},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDatacentre(t, nil)
			at := c.at
			at.fallen, at.over = make(chan struct{}), make(chan struct{})
			defer close(at.over)
			first := d.open()
			machines := make([]provider.Machine, 1+c.others)
			for i := range machines {
				machines[i] = placed(t, first, node(i), c.made)
			}
			d.intercept = at.meets
			p := d.open()
			endTogether(t, at.fallen, len(machines), func(ctx context.Context, i int) error { return c.do(ctx, p, machines[i]) })
		})
	}
}

// placed allots m, and makes it if it is to be there.
func placed(t *testing.T, p *proxmox.Provider, m provider.Machine, made bool) provider.Machine {
	t.Helper()
	if made {
		return create(t, p, m)
	}
	m, err := p.Allocate(bounded(t), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// endTogether does n things side by side and cancels them at a moment.
func endTogether(t *testing.T, moment <-chan struct{}, n int, do func(context.Context, int) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			if err := do(ctx, i); !errors.Is(err, context.Canceled) {
				t.Errorf("error is %v", err)
			}
		})
	}
	select {
	case <-moment:
	case <-ctx.Done():
		t.Error("the moment never came")
	}
	begin := time.Now()
	cancel()
	group.Wait()
	late := time.Since(begin)
	t.Logf("ended %s after it was cancelled", late)
	if late > cancelled {
		t.Errorf("ended %s after it was cancelled, want %s at most", late, cancelled)
	}
}
