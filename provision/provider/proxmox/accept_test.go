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

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

// made chooses ids until one is free, as the engine does, and creates m.
func made(ctx context.Context, p *proxmox.Provider, m provider.Machine) (provider.Machine, error) {
	var taken []string
	for {
		m, err := p.Allocate(ctx, m, taken)
		if err != nil {
			return m, err
		}
		got, err := p.Ensure(ctx, m)
		if !errors.Is(err, provider.ErrTaken) {
			return got, err
		}
		taken = append(taken, m.ID)
	}
}

// Each privilege that is taken away is named with its path, that one alone,
// and with the lines that give it back. Nothing is made to find out.
func TestEachPrivilegeIsMissed(t *testing.T) {
	for _, version := range []string{"8.4.1", "9.1.4"} {
		for _, acl := range leastRights {
			for _, privilege := range acl.Privileges {
				t.Run(version+" "+privilege+" on "+acl.Path, func(t *testing.T) {
					d := newDatacentre(t, func(c *pve.Config) { c.Version = version })
					d.server.Revoke("slipway@pve!test", acl.Path, privilege)
					cfg := d.config()
					cfg.Nodes = []string{"pve1"}
					got := d.openWith(cfg).Check(bounded(t), provider.Request{Machines: []provider.Machine{node(0)}})
					want := "the token lacks " + privilege + " on " + acl.Path
					if len(got) != 1 || !strings.HasPrefix(got[0].What, want) || got[0].Fatal == (privilege == "Datastore.Allocate") {
						t.Errorf("problems %v, want only: %s", got, want)
					}
					for _, line := range []string{privilege, "pveum acl modify " + acl.Path + " --tokens 'slipway@pve!test'", "pveum acl modify " + acl.Path + " --users 'slipway@pve'"} {
						if len(got) > 0 && !strings.Contains(got[0].Hint, line) {
							t.Errorf("hint lacks %q:\n%s", line, got[0].Hint)
						}
					}
					for _, r := range d.seen {
						if r.method != http.MethodGet {
							t.Errorf("%s %s was sent", r.method, r.template)
						}
					}
				})
			}
		}
	}
}

// A life is what up and down ask of a machine; id is what the journal knows.
func life(ctx context.Context, p *proxmox.Provider, img provider.Image, id *provider.Machine) error {
	if id.ID == "" {
		m, err := p.Allocate(ctx, node(0), nil)
		if err != nil {
			return err
		}
		*id = m
	}
	ref, err := p.Put(ctx, img, []string{id.Place}, nil)
	if err != nil {
		return err
	}
	m, err := p.Ensure(ctx, *id)
	if err != nil {
		return err
	}
	*id = m
	for _, step := range []func() error{
		func() error { return p.Insert(ctx, m, ref) },
		func() error { return p.PowerOn(ctx, m) },
		func() error { return p.Eject(ctx, m) },
		func() error { return p.Release(ctx, m) },
		func() error { return p.Drop(ctx, ref) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// A run that is killed at any call, before the server gets it or after it has
// been carried out, is continued by the next, and nothing is left.
func TestKilledAtEachCall(t *testing.T) {
	img := iso(t, 1000)
	whole := newDatacentre(t, nil)
	var calls atomic.Int32
	whole.intercept = func(http.ResponseWriter, *http.Request) bool { calls.Add(1); return false }
	if err := life(bounded(t), whole.open(), img, new(provider.Machine)); err != nil {
		t.Fatal(err)
	}
	for at := range int(calls.Load()) {
		for _, carriedOut := range []bool{false, true} {
			t.Run(strconv.Itoa(at+1)+" "+strconv.FormatBool(carriedOut), func(t *testing.T) {
				t.Parallel()
				killed(t, img, int32(at+1), carriedOut)
			})
		}
	}
}

func killed(t *testing.T, img provider.Image, at int32, carriedOut bool) {
	d := newDatacentre(t, nil)
	ctx, kill := context.WithCancel(bounded(t))
	defer kill()
	var (
		calls   atomic.Int32
		resumed atomic.Bool
	)
	d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		switch n := calls.Add(1); {
		case n < at || resumed.Load():
			return false
		case n == at && carriedOut:
			d.server.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
		}
		kill()
		panic(http.ErrAbortHandler)
	}
	var journal provider.Machine
	if err := life(ctx, d.open(), img, &journal); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("the run ended with %v", err) // nil: it took fewer looks at tasks this time
	}
	resumed.Store(true) // a request of the killed run may still arrive
	if err := life(bounded(t), d.open(), img, &journal); err != nil {
		t.Fatal(err)
	}
	if left, images := d.machines(), d.server.Images(); len(left)+len(images) > 0 {
		t.Errorf("VMs %v and images %v are left", left, images)
	}
}
