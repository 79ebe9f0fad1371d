package provision

import (
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/probe"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/spec"
	"github.com/slipway-project/slipway/provision/state/filestore"
)

func dnsProject(t *testing.T, at, node string) *Project {
	home := t.TempDir()
	lan := spec.Network{CIDR: netip.MustParsePrefix(node + "/24").Masked()}
	p := &Project{Options: Options{Home: home}, store: filestore.New(home), cluster: spec.Cluster{
		Name: "mycluster", Domain: "lab.test", Services: spec.Services{Address: netip.MustParseAddr(at)}, Network: lan,
		Nodes: []spec.Node{{Name: "control-0", Full: "control-0.mycluster.lab.test", Role: spec.ControlPlane, Address: netip.MustParseAddr(node), Network: lan}},
	}}
	p.learned = p.recorded
	return p
}

func TestDNSQuestions(t *testing.T) {
	want := []probe.Question{
		{Name: "api.mycluster.lab.test.", Type: "A", Want: "192.0.2.210"},
		{Name: "api-int.mycluster.lab.test.", Type: "A", Want: "192.0.2.210"},
		{Name: "console-openshift-console.apps.mycluster.lab.test.", Type: "A", Want: "192.0.2.210"},
		{Name: "validateNoWildcardDNS.mycluster.lab.test.", Type: "A", Want: "NXDOMAIN"},
		{Name: "validateNoWildcardDNS.mycluster.lab.test.mycluster.lab.test.", Type: "A", Want: "NXDOMAIN"},
		{Name: "api.mycluster.lab.test.", Type: "AAAA", Want: "NODATA"},
		{Name: "api-int.mycluster.lab.test.", Type: "AAAA", Want: "NODATA"},
		{Name: "console-openshift-console.apps.mycluster.lab.test.", Type: "AAAA", Want: "NODATA"},
		{Name: "random.apps.mycluster.lab.test.", Type: "A", Want: "192.0.2.210"},
		{Name: "210.2.0.192.in-addr.arpa.", Type: "PTR", Want: "api-int.mycluster.lab.test., api.mycluster.lab.test."},
		{Name: "control-0.mycluster.lab.test.", Type: "A", Want: "192.0.2.201"},
		{Name: "201.2.0.192.in-addr.arpa.", Type: "PTR", Want: "control-0.mycluster.lab.test."},
	}
	if diff := cmp.Diff(want, dnsProject(t, "192.0.2.210", "192.0.2.201").dnsQuestions([]string{"mycluster.lab.test."})); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
	if six := dnsProject(t, "2001:db8::210", "2001:db8::201").dnsQuestions([]string{"mycluster.lab.test."}); six[0].Type != "AAAA" || six[5].Type != "A" || six[10].Type != "AAAA" {
		t.Errorf("questions of an IPv6 cluster: %v", six)
	}
}

func TestServicesSerial(t *testing.T) {
	p := dnsProject(t, "192.0.2.210", "192.0.2.201")
	if got := p.Services().Serial; got != 1 {
		t.Errorf("serial %d before there is a document, want 1", got)
	}
	if err := os.MkdirAll(p.dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := services.Write(p.document(), p.wantServices(7)); err != nil {
		t.Fatal(err)
	}
	if got := p.Services(); !reflect.DeepEqual(p.wantServices(7), got) {
		t.Errorf("the document in place is not what is wanted: %+v", got)
	}
	p.cluster.Nodes[0].Address = netip.MustParseAddr("192.0.2.202")
	if got := p.Services().Serial; got != 8 {
		t.Errorf("serial %d after a change, want 8", got)
	}
}

func TestDNSCheckErr(t *testing.T) {
	answer := func(want, got string) probe.Answer {
		return probe.Answer{Question: probe.Question{Name: "x.mycluster.lab.test.", Type: "A", Want: want}, Got: got, OK: want == got}
	}
	tests := []struct {
		name         string
		answers      []probe.Answer
		want, advice string
	}{
		{"all right", []probe.Answer{answer("192.0.2.1", "192.0.2.1")}, "", ""},
		{"a record is missing", []probe.Answer{answer("192.0.2.1", "NXDOMAIN"), answer("NODATA", "NODATA")},
			"1 of 2 answers of DNS server 192.0.2.210:53 are wrong", "slipway dns records"},
		{"the server fails", []probe.Answer{answer("NXDOMAIN", "SERVFAIL")},
			"1 of 1 answers of DNS server 192.0.2.210:53 are wrong", "slipway dns records"},
		{"a wildcard", []probe.Answer{answer("192.0.2.1", "192.0.2.2"), answer("NXDOMAIN", "192.0.2.2, 192.0.2.3")},
			"2 of 2 answers of DNS server 192.0.2.210:53 are wrong", "remove *.mycluster.lab.test"},
		{"a wildcard in what hosts search", []probe.Answer{{Question: probe.Question{Name: "validateNoWildcardDNS.mycluster.lab.test.apps.mycluster.lab.test.", Type: "A", Want: "NXDOMAIN"}, Got: "192.0.2.210"}},
			"1 of 1 answers of DNS server 192.0.2.210:53 are wrong", "take the search domain apps.mycluster.lab.test from the hosts"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := DNSCheck{Cluster: "mycluster.lab.test", Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.210:53")}, Answers: test.answers}.Err()
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != test.want || !strings.Contains(Hint(err), test.advice) {
				t.Errorf("error %q, hint %q; want %q, %q", got, Hint(err), test.want, test.advice)
			}
		})
	}
}
