package node

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A platter is a Medium that a test looks at.
type platter struct {
	images int
	data   []byte
	broken error
}

func (p *platter) Image(context.Context) error { p.images++; return p.broken }
func (p *platter) Save(data []byte) error      { p.data = data; return p.broken }

// What an installed system keeps is there after a power cut.
func TestDiskKeepsTheSystem(t *testing.T) {
	p := &platter{}
	d, err := OpenDisk(p, nil)
	if err != nil || d.System() != nil {
		t.Fatalf("a blank disk: %v, %v", d.System(), err)
	}
	want := System{Ignition: []byte("{}"), Static: []StaticNetwork{{NMState: "x", MACs: map[string]string{"02:00:00:00:00:01": "eth0"}}}, Service: Reporter{URL: "http://192.0.2.9:8090"}}
	if err := d.Install(t.Context(), want); err != nil || p.images != 1 {
		t.Fatalf("%d images written, %v", p.images, err)
	}
	change := func(s *System) {
		s.hostKey, s.machineID, s.static = []byte("key"), "id", true
		s.config = &machineConfig{kubeconfig{server: "https://api-int:6443", ca: []byte("ca"), token: "token"}, []string{"ssh-ed25519"}}
		s.client = &credential{[]byte("cert"), []byte("secret")}
	}
	change(&want)
	if err := d.keep(change); err != nil {
		t.Fatal(err)
	}
	again, err := OpenDisk(p, p.data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, again.System(), cmp.AllowUnexported(System{}, machineConfig{}, kubeconfig{}, credential{})); diff != "" {
		t.Errorf("after a power cut (-want +got):\n%s", diff)
	}
	if err := again.wipe(); err != nil || p.data != nil {
		t.Errorf("a wiped disk has %q, %v", p.data, err)
	}
}

func TestDiskFails(t *testing.T) {
	if _, err := OpenDisk(&platter{}, []byte("no")); err == nil {
		t.Error("rubbish is taken for a system")
	}
	p := &platter{broken: errors.New("input/output error")}
	d, err := OpenDisk(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Install(t.Context(), System{}); err == nil || err.Error() != "write image: input/output error" {
		t.Error(err)
	}
	if err := d.wipe(); err == nil || err.Error() != "write to the disk: input/output error" {
		t.Error(err)
	}
}
