package node

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

var hostA = uuid.MustParse("aaaaaaaa-0000-4000-8000-000000000000")

// newWire is the wire of host a to a site in this process.
func newWire(t *testing.T, site *Site, report func(string, HostState)) *Wire {
	t.Helper()
	server := httptest.NewServer(site.Handler(report))
	w := NewWire(strings.TrimPrefix(server.URL, "http://"), hostA, func(err error) { t.Error(err) })
	t.Cleanup(func() { w.http.CloseIdleConnections(); server.Close() })
	return w
}

// Two hosts, one at the end of a wire, see one cluster.
func TestHostsShareACluster(t *testing.T) {
	site := NewSite()
	b, err := NewBundle("id", "mycluster", "lab.test", "4.20.3", nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Hosts = []Member{{HostID: "a", Role: "master"}, {HostID: "b", Role: "master"}}
	near, err := openCluster(site, b, Reporter{})
	if err != nil {
		t.Fatal(err)
	}
	far, err := openCluster(newWire(t, site, nil), b, Reporter{})
	if err != nil {
		t.Fatal(err)
	}
	if near.token != far.token {
		t.Error("they do not know each other's bootstrapper")
	}
	near.etcdUp("a")
	far.etcdUp("b")
	if !far.leads("a") || near.wantControlPlanes() != nil {
		t.Errorf("facts %+v", far.facts())
	}
	far.setOperator("etcd", true, "All is well")
	if !near.available(operators, "etcd") || far.available(operators, "dns") {
		t.Error("operators are not shared")
	}
	if diff := cmp.Diff(near.store.all(operators), far.store.all(operators)); diff != "" {
		t.Errorf("operators (-near +far):\n%s", diff)
	}
	if _, taken := far.store.create(operators, object{Metadata: metadata{Name: "etcd"}}); taken {
		t.Error("a name is given twice")
	}
}

// Changes at the same time are all made.
func TestNoChangeIsLost(t *testing.T) {
	site := NewSite()
	wire := newWire(t, site, nil)
	stores := []store{{site.etcd("x")}, {wire.etcd("x")}}
	stores[0].put(nodes, object{Metadata: metadata{Name: "n", Labels: map[string]string{}}})
	const each = 20
	var changes sync.WaitGroup
	for _, s := range stores {
		changes.Go(func() {
			for range each {
				s.change(nodes, "", "n", func(o *object) error {
					o.Metadata.GenerateName += "."
					return nil
				})
			}
		})
	}
	changes.Wait()
	if o, _ := stores[1].get(nodes, "", "n"); len(o.Metadata.GenerateName) != 2*each {
		t.Errorf("%d changes of %d", len(o.Metadata.GenerateName), 2*each)
	}
}

// What a host says arrives with how often it has booted.
func TestWireReports(t *testing.T) {
	got := map[string]HostState{}
	site, report := NewSite(), func(id string, s HostState) { got[id] = s }
	for boots := 1; boots <= 2; boots++ {
		w := newWire(t, site, report)
		for range 2 {
			now, err := w.Report(t.Context(), HostState{Phase: PhaseLive, Hostname: "control-0", Boots: 1})
			if err != nil || now.IsZero() {
				t.Errorf("%v, %v", now, err)
			}
		}
		want := map[string]HostState{hostA.String(): {Phase: PhaseLive, Hostname: "control-0", Boots: boots}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("report (-want +got):\n%s", diff)
		}
	}
}

// What ran on a host runs no more once it boots again, although nobody saw it
// end.
func TestBootEndsWhatRan(t *testing.T) {
	site := NewSite()
	b, err := NewBundle("id", "mycluster", "lab.test", "4.20.3", nil)
	if err != nil {
		t.Fatal(err)
	}
	open := func() *cluster {
		c, err := openCluster(newWire(t, site, nil), b, Reporter{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	open().etcdUp(hostA.String())
	if again := open(); again.quorum() == nil {
		t.Errorf("after a power cut etcd runs: %+v", again.facts())
	}
}

func TestWireRefuses(t *testing.T) {
	w := newWire(t, NewSite(), nil)
	for want, call := range map[string]any{
		`400 Bad Request: resource "pods": unknown`:                                          etcdCall{Op: opGet, Resource: "pods"},
		`400 Bad Request: operation "watch": unknown`:                                        etcdCall{Op: "watch", Resource: "nodes"},
		`400 Bad Request: json: cannot unmarshal number into Go value of type node.etcdCall`: 7,
	} {
		if err := w.post(t.Context(), etcdPath, call, nil); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
