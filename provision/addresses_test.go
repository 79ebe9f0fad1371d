package provision

import (
	"context"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/dnsserver"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/state"
)

// namesOf are the names of the first zone, and members those behind the API.
func namesOf(d services.Document) (names, members []string) {
	for _, r := range d.DNS.Zones[0].Records {
		names = append(names, r.Name)
	}
	for _, m := range d.Balancer.Frontends[0].Members {
		members = append(members, m.Address.String())
	}
	return names, members
}

// A node by DHCP has no name and is behind no frontend until the state knows
// its address; then both are there.
func TestServicesFollowDHCP(t *testing.T) {
	p := dnsProject(t, "192.0.2.210", "192.0.2.201")
	p.cluster.Nodes[0].Address = netip.Addr{}
	ours := []string{"api.mycluster.lab.test.", "api-int.mycluster.lab.test.", "*.apps.mycluster.lab.test."}
	names, members := namesOf(p.Services())
	if diff := cmp.Diff(ours, names); diff != "" || members != nil {
		t.Errorf("before: members %v, names (-want +got):\n%s", members, diff)
	}
	if host := p.wantHost(p.cluster.Nodes[0]); host.NICs[0].Address.IsValid() || host.NICs[0].Gateway.IsValid() {
		t.Errorf("the installer is told %+v", host.NICs[0])
	}
	if got := addressOf(p.located(p.cluster.Nodes[0])); got != "dhcp" {
		t.Errorf("its address is shown as %q", got)
	}

	at := netip.MustParseAddr("192.0.2.77")
	journal, err := p.store.Open(context.Background(), p.cluster.FullName(), holder("up"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []state.Record{{Kind: state.Created, Cluster: p.cluster.FullName(), ID: "c1"}, {Kind: state.Learned, Node: "control-0", Address: at}} {
		if err := journal.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	after := p.Services()
	names, members = namesOf(after)
	if diff := cmp.Diff(append(ours, "control-0.mycluster.lab.test."), names); diff != "" {
		t.Errorf("names afterwards (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"192.0.2.77:6443"}, members); diff != "" {
		t.Errorf("members afterwards (-want +got):\n%s", diff)
	}
	want := dnsserver.Record{Name: "77.2.0.192.in-addr.arpa.", Type: "PTR", Data: "control-0.mycluster.lab.test."}
	if reverse := after.DNS.Zones[1].Records; reverse[len(reverse)-1] != want {
		t.Errorf("reverse records %v", reverse)
	}
}
