package rehearsal

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/rehearsal/guest"
	"github.com/slipway-project/slipway/rehearsal/node"
)

// Machines reach the site of their World where its installer is. The World
// tells what those of its own hypervisors say to their rack, and lists others
// by the names that it knows.
func TestWiresReachTheSite(t *testing.T) {
	if !inside(t) {
		return
	}
	w := virtualWorld(t)
	followed, known := uuid.New(), uuid.New()
	w.real.Known = map[uuid.UUID]guest.Spec{known: {Name: "worker-0.mycluster.lab.test"}}
	var told []node.HostState
	w.real.wires.follow(followed, func(s node.HostState) { told = append(told, s) })
	installer := endpoint{at: netip.MustParseAddrPort("198.51.100.9:8090")}
	site, err := w.openWire(installer)
	must(t, err)
	if again, err := w.openWire(installer); err != nil || again != site || site.String() != "198.51.100.9:2379" {
		t.Fatalf("the site is at %s, then %s: %v", site, again, err)
	}
	port := guestPort(t, w.lab)
	for _, id := range []uuid.UUID{followed, known, uuid.Nil} {
		tellSite(t, port, site, id, `{"phase":"live","hostname":"a"}`)
	}
	state := node.HostState{Phase: node.PhaseLive, Hostname: "a", Boots: 1}
	want := []Host{{Name: uuid.Nil.String(), MACs: []string{}, State: state}, {Name: "worker-0.mycluster.lab.test", MACs: []string{}, State: state}}
	if diff := cmp.Diff(want, w.Hosts(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]node.HostState{state}, told); diff != "" {
		t.Errorf("told to the rack (-want +got):\n%s", diff)
	}
}

// virtualWorld is a World with virtual machines and nothing else, whose
// datacentre has the address of an installer.
func virtualWorld(t *testing.T) *World {
	t.Helper()
	lab, err := netlab.New()
	must(t, err)
	t.Cleanup(func() { must(t, lab.Close()) })
	must(t, lab.AddSegment("vmbr0", netip.MustParsePrefix("192.0.2.1/24")))
	must(t, lab.AddRemote(netip.MustParseAddr("198.51.100.9")))
	w := &World{lab: lab, site: node.NewSite(), cfg: Config{Machines: &MachinesConfig{}}}
	must(t, w.startReality())
	t.Cleanup(func() { must(t, w.real.wires.Close()) })
	return w
}

func guestPort(t *testing.T, lab *netlab.Lab) *netlab.Port {
	t.Helper()
	p, err := lab.AddMachine("vmbr0", net.HardwareAddr{2, 0, 0, 0, 0, 9})
	must(t, err)
	must(t, p.Configure([]netip.Prefix{netip.MustParsePrefix("192.0.2.9/24")}, netip.MustParseAddr("192.0.2.1"), 0))
	must(t, p.Up())
	return p
}

// tellSite reports something as a machine at the far end of a wire does.
func tellSite(t *testing.T, from *netlab.Port, site netip.AddrPort, id uuid.UUID, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+site.String()+"/report", strings.NewReader(body))
	must(t, err)
	request.Header.Set("Host-Id", id.String())
	request.Header.Set("Boot-Id", "first")
	client := &http.Client{Transport: &http.Transport{DialContext: from.Dial, DisableKeepAlives: true}}
	answer, err := client.Do(request)
	must(t, err)
	must(t, answer.Body.Close())
	if answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
}
