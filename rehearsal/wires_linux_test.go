package rehearsal

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/rehearsal/node"
)

// Machines reach the site of their World from whichever segment, by addresses
// that the datacentre tells apart, and stay who they are.
func TestWiresReachTheSite(t *testing.T) {
	if !inside(t) {
		return
	}
	lab, err := netlab.New()
	must(t, err)
	t.Cleanup(func() { must(t, lab.Close()) })
	w := newWires(lab, node.NewSite())
	t.Cleanup(func() { must(t, w.Close()) })
	said := map[string]string{}
	for i, segment := range []string{"vmbr0", "vmbr1.99"} {
		must(t, lab.AddSegment(segment))
		id := uuid.New()
		tell := func(s node.HostState) { said[segment] = s.Hostname }
		end, err := w.connect(segment, id, tell)
		must(t, err)
		again, err := w.connect(segment, id, tell)
		must(t, err)
		if again != end || end.address != netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254, byte(i + 1), 2}), 24) {
			t.Errorf("%s: %v, then %v", segment, end, again)
		}
		report(t, lab, segment, end, `{"host":"`+id.String()+`","state":{"phase":"live","boots":1,"hostname":"in `+segment+`"}}`)
		if said[segment] != "in "+segment {
			t.Errorf("%s: the World heard %q", segment, said[segment])
		}
	}
}

// report says something as a machine at the far end of a wire does.
func report(t *testing.T, lab *netlab.Lab, segment string, end wire, body string) {
	t.Helper()
	p, err := lab.AddMachine(segment, []byte{2, 0, 0, 0, 0, 9})
	must(t, err)
	must(t, p.Configure([]netip.Prefix{end.address}, netip.Addr{}, 0))
	must(t, p.Up())
	client := &http.Client{Transport: &http.Transport{DialContext: p.Dial, DisableKeepAlives: true}}
	answer, err := client.Post("http://"+end.site.String()+"/report", "application/json", strings.NewReader(body))
	must(t, err)
	must(t, answer.Body.Close())
	if answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
	must(t, p.Close())
}
