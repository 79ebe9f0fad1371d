package providertest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/provider"
)

// Run holds the provider of the worlds that open makes to the contract. Each
// test has a world of its own.
func Run(t *testing.T, open func(t *testing.T) World) {
	for _, c := range []struct {
		name string
		test func(*testing.T, World)
	}{
		{"Ensure makes what was asked, once", ensureOnce},
		{"Ensure of several at once makes each once", ensureSeveral},
		{"A new run adopts under another id", adopt},
		{"A machine in the way is reported as taken and not touched", taken},
		{"A create whose reply was lost makes one machine", lostReply},
		{"A create that never arrived is repeated", lostCall},
		{"An interrupted create leaves nothing that Release does not find", interrupted},
		{"Find knows clusters apart", apart},
		{"Release removes a running machine, once", releaseRunning},
		{"Release of what never was is no error", releaseNothing},
		{"Power may be switched twice", power},
		{"Media may be inserted and ejected twice", media},
		{"Images are stored once and dropped twice", images},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func ensureOnce(t *testing.T, w World) {
	p := w.Open()
	m := allocated(t, p, machine(mark, 0))
	for range 2 {
		got, err := p.Ensure(deadline(t), m)
		if err != nil {
			t.Fatal(err)
		}
		checkLike(t, m, got)
	}
	if n := len(w.Machines()); n != 1 {
		t.Errorf("there are %d machines, want 1", n)
	}
}

// checkLike compares all that was asked for; Find must tell the same.
func checkLike(t *testing.T, want, got provider.Machine) {
	t.Helper()
	want.Power, want.Adrift = provider.PowerOff, nil
	want.Tags, got.Tags = nil, nil // may be refused, and more than asked
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("machine (-want +got):\n%s", diff)
	}
}

func ensureSeveral(t *testing.T, w World) {
	const n = 5
	p := w.Open()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			a, ok := p.(provider.Allocator)
			m := machine(mark, i)
			var err error
			if ok {
				m, err = a.Allocate(deadline(t), m, nil)
			}
			if err == nil {
				_, err = p.Ensure(deadline(t), m)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var names []string
	for _, m := range found(t, p, mark) {
		names = append(names, m.Node)
	}
	if diff := cmp.Diff([]string{"control-0", "control-1", "control-2", "control-3", "control-4"}, names); diff != "" {
		t.Errorf("machines found (-want +got):\n%s", diff)
	}
	if got := len(w.Machines()); got != n {
		t.Errorf("there are %d machines, want %d", got, n)
	}
}

func adopt(t *testing.T, w World) {
	first := ensured(t, w.Open(), machine(mark, 0))
	p := w.Open()
	second := allocated(t, p, machine(mark, 0), first.ID)
	got, err := p.Ensure(deadline(t), second)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != first.ID {
		t.Errorf("it has id %s, want the adopted %s", got.ID, first.ID)
	}
	if diff := cmp.Diff([]string{first.ID}, w.Machines()); diff != "" {
		t.Errorf("machines (-want +got):\n%s", diff)
	}
}

func taken(t *testing.T, w World) {
	p := w.Open()
	m := allocated(t, p, machine(mark, 0))
	w.AddForeign(m)
	if _, err := p.Ensure(deadline(t), m); !errors.Is(err, provider.ErrTaken) {
		t.Fatalf("Ensure: %v, want ErrTaken", err)
	}
	if powerer, ok := p.(provider.Powerer); ok && powerer.PowerOff(deadline(t), m) == nil {
		t.Error("PowerOff of a foreign machine is no error")
	}
	release(t, p, m)
	if !w.Running(m.ID) {
		t.Error("the foreign machine was touched")
	}
	again, err := p.Ensure(deadline(t), allocated(t, p, machine(mark, 0), m.ID))
	if err != nil || again.ID == m.ID {
		t.Errorf("Ensure under another id: id %s, error %v", again.ID, err)
	}
}

func lostReply(t *testing.T, w World) {
	for _, again := range []func(provider.Provider) provider.Provider{
		func(p provider.Provider) provider.Provider { return p },      // the same run
		func(provider.Provider) provider.Provider { return w.Open() }, // after a crash
	} {
		p := w.Open()
		m := allocated(t, p, machine(mark, 0))
		w.LoseCreateReply(true)
		p.Ensure(deadline(t), m) // may notice or not
		got, err := again(p).Ensure(deadline(t), m)
		if err != nil {
			t.Fatal(err)
		}
		checkLike(t, m, got)
		if diff := cmp.Diff([]string{m.ID}, w.Machines()); diff != "" {
			t.Errorf("machines (-want +got):\n%s", diff)
		}
		release(t, p, m)
	}
}

func lostCall(t *testing.T, w World) {
	p := w.Open()
	w.LoseCreateReply(false)
	got := ensured(t, p, machine(mark, 0))
	if diff := cmp.Diff([]string{got.ID}, w.Machines()); diff != "" {
		t.Errorf("machines (-want +got):\n%s", diff)
	}
}

// interrupted ends the run at the moment the task of the create is known.
func interrupted(t *testing.T, w World) {
	p := w.Open()
	m := allocated(t, p, machine(mark, 0))
	ctx, crash := context.WithCancel(deadline(t))
	defer crash()
	recorded := ""
	ctx = provider.WithRecorder(ctx, func(handle string) error { recorded = handle; crash(); return nil })
	if _, err := p.Ensure(ctx, m); !errors.Is(err, context.Canceled) {
		t.Fatalf("Ensure: %v, want canceled", err)
	}
	if recorded == "" {
		t.Error("the handle of the task was not recorded before the wait")
	}
	release(t, w.Open(), m)
	if left := w.Machines(); len(left) != 0 {
		t.Errorf("machines %v are left", left)
	}
}

func apart(t *testing.T, w World) {
	p := w.Open()
	ours, theirs := ensured(t, p, machine(mark, 0)), ensured(t, p, machine(other, 0))
	elder := provider.Mark{Cluster: mark.Cluster, ID: "another"}
	for _, c := range []struct {
		owner provider.Mark
		want  []string
	}{
		{mark, []string{ours.ID}},
		{other, []string{theirs.ID}},
		{provider.Mark{Cluster: mark.Cluster}, []string{ours.ID}}, // state lost
		{elder, nil},
	} {
		var got []string
		for _, m := range found(t, p, c.owner) {
			got = append(got, m.ID)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("Find(%v) (-want +got):\n%s", c.owner, diff)
		}
	}
	stolen := ours
	stolen.Mark = elder
	release(t, p, withoutIdentity(stolen))
	if !slices.Contains(w.Machines(), ours.ID) {
		t.Error("Release under another cluster's mark removed it")
	}
}

// withoutIdentity makes m somebody else's: a name alone proves nothing.
func withoutIdentity(m provider.Machine) provider.Machine {
	m.UUID = machine(other, 1).UUID
	return m
}

func releaseRunning(t *testing.T, w World) {
	p := w.Open()
	m := ensured(t, p, machine(mark, 0))
	if powerer, ok := p.(provider.Powerer); ok {
		if err := powerer.PowerOn(deadline(t), m); err != nil {
			t.Fatal(err)
		}
	}
	release(t, p, m)
	if left := w.Machines(); len(left) != 0 {
		t.Errorf("machines %v are left", left)
	}
	release(t, p, m)
	if got := found(t, p, mark); len(got) != 0 {
		t.Errorf("Find still lists %v", got)
	}
}

func releaseNothing(t *testing.T, w World) {
	p := w.Open()
	release(t, p, machine(mark, 0))
	release(t, p, allocated(t, p, machine(mark, 0)))
}

// capable returns p as what slipway needs of every provider besides the core.
func capable[T any](t *testing.T, p provider.Provider) T {
	t.Helper()
	c, ok := p.(T)
	if !ok {
		t.Fatalf("%T is no %T", p, (*T)(nil))
	}
	return c
}

func power(t *testing.T, w World) {
	p := w.Open()
	powerer := capable[provider.Powerer](t, p)
	m := ensured(t, p, machine(mark, 0))
	for _, step := range []struct {
		change func(context.Context, provider.Machine) error
		want   provider.Power
	}{
		{powerer.PowerOff, provider.PowerOff},
		{powerer.PowerOn, provider.PowerOn},
		{powerer.PowerOn, provider.PowerOn},
		{powerer.PowerOff, provider.PowerOff},
		{powerer.PowerOff, provider.PowerOff},
	} {
		if err := step.change(deadline(t), m); err != nil {
			t.Fatal(err)
		}
		if on := w.Running(m.ID); on != (step.want == provider.PowerOn) {
			t.Errorf("running is %v, want power %s", on, step.want)
		}
		if got := found(t, p, mark)[0].Power; got != step.want {
			t.Errorf("Find tells power %q, want %q", got, step.want)
		}
	}
}

func media(t *testing.T, w World) {
	p := w.Open()
	inserter, store := capable[provider.MediaInserter](t, p), capable[provider.ImageStore](t, p)
	m := ensured(t, p, machine(mark, 0))
	ref, err := store.Put(deadline(t), image(t, mark), []string{m.Place}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{ref, ref, "", ""} {
		if want == "" {
			err = inserter.Eject(deadline(t), m)
		} else {
			err = inserter.Insert(deadline(t), m, want)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := found(t, p, mark)[0].Media; got != want {
			t.Errorf("the tray holds %q, want %q", got, want)
		}
	}
}

func images(t *testing.T, w World) {
	p := w.Open()
	store := capable[provider.ImageStore](t, p)
	place := allocated(t, p, machine(mark, 0)).Place
	ours, theirs := image(t, mark), image(t, other)
	var refs []string
	for _, img := range []provider.Image{ours, ours, theirs} {
		var sent int64
		ref, err := store.Put(deadline(t), img, []string{place}, func(n int64) { sent = n })
		if err != nil {
			t.Fatal(err)
		}
		if sent != img.Size {
			t.Errorf("progress ended at %d bytes, want %d", sent, img.Size)
		}
		refs = append(refs, ref)
	}
	checkImages(t, store, refs[:1])
	for range 2 {
		if err := store.Drop(deadline(t), refs[0]); err != nil {
			t.Fatal(err)
		}
	}
	checkImages(t, store, nil)
}

func checkImages(t *testing.T, store provider.ImageStore, want []string) {
	t.Helper()
	got, err := store.Images(deadline(t), mark)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
}
