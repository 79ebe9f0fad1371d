//go:build servers

package export

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/dnsserver"
	"github.com/slipway-project/slipway/dnsserver/internal/peer"
)

// questions are what an installer asks of each host, what hosts ask beside it,
// and what must not be there.
var questions = []struct {
	name  string
	rtype uint16
}{
	{"api.mycluster.lab.test.", dns.TypeA},
	{"api-int.mycluster.lab.test.", dns.TypeA},
	{"console-openshift-console.apps.mycluster.lab.test.", dns.TypeA},
	{"validateNoWildcardDNS.mycluster.lab.test.", dns.TypeA},
	{"validateNoWildcardDNS.mycluster.lab.test.mycluster.lab.test.", dns.TypeA},
	{"API.MyCluster.lab.test.", dns.TypeA},
	{"api.mycluster.lab.test.", dns.TypeAAAA},
	{"api-int.mycluster.lab.test.", dns.TypeAAAA},
	{"api.mycluster.lab.test.", dns.TypeHTTPS},
	{"x.y.apps.mycluster.lab.test.", dns.TypeA},
	{"x.apps.mycluster.lab.test.", dns.TypeAAAA},
	{"x.apps.mycluster.lab.test.", dns.TypeHTTPS},
	{"apps.mycluster.lab.test.", dns.TypeA},
	{"control-0.mycluster.lab.test.", dns.TypeA},
	{"worker-0.mycluster.lab.test.", dns.TypeA},
	{"mycluster.lab.test.", dns.TypeSOA},
	{"210.2.0.192.in-addr.arpa.", dns.TypePTR},
	{"201.2.0.192.in-addr.arpa.", dns.TypePTR},
	{"204.2.0.192.in-addr.arpa.", dns.TypePTR},
	{"9.2.0.192.in-addr.arpa.", dns.TypePTR},
}

// Every format of a server that runs here is loaded by that server and answers
// as our own does, but for the differences listed, which docs/dns-export.md
// explains.
func TestServersAnswerAsWeDo(t *testing.T) {
	nothing := map[string]string{}
	tests := []struct {
		format string
		kind   peer.Kind
		differ map[string]string
	}{
		{"bind", peer.Named, nothing},
		{"knot", peer.Knot, nothing},
		{"nsd", peer.NSD, nothing},
		{"coredns", peer.CoreDNS, map[string]string{ // negative answers live as long as the SOA record, not as its last field says
			"9.2.0.192.in-addr.arpa. PTR":                                    "NXDOMAIN, aa, soa 60",
			"api-int.mycluster.lab.test. AAAA":                               "NOERROR, aa, soa 60",
			"api.mycluster.lab.test. HTTPS":                                  "NOERROR, aa, soa 60",
			"apps.mycluster.lab.test. A":                                     "NOERROR, aa, soa 60",
			"validateNoWildcardDNS.mycluster.lab.test. A":                    "NXDOMAIN, aa, soa 60",
			"validateNoWildcardDNS.mycluster.lab.test.mycluster.lab.test. A": "NXDOMAIN, aa, soa 60",
			"x.apps.mycluster.lab.test. AAAA":                                "NOERROR, aa, soa 60",
			"x.apps.mycluster.lab.test. HTTPS":                               "NOERROR, aa, soa 60",
		}},
		{"dnsmasq", peer.Dnsmasq, map[string]string{
			// No zones: no SOA record, and no word on names of other addresses.
			"9.2.0.192.in-addr.arpa. PTR":                                    "REFUSED",
			"api-int.mycluster.lab.test. AAAA":                               "NOERROR",
			"api.mycluster.lab.test. HTTPS":                                  "NOERROR",
			"mycluster.lab.test. SOA":                                        "NOERROR",
			"validateNoWildcardDNS.mycluster.lab.test. A":                    "NXDOMAIN",
			"validateNoWildcardDNS.mycluster.lab.test.mycluster.lab.test. A": "NXDOMAIN",
			// No TTL for these.
			"201.2.0.192.in-addr.arpa. PTR":                        "NOERROR, aa, 0 control-0.mycluster.lab.test.",
			"204.2.0.192.in-addr.arpa. PTR":                        "NOERROR, aa, 0 worker-0.mycluster.lab.test.",
			"210.2.0.192.in-addr.arpa. PTR":                        "NOERROR, aa, 0 api-int.mycluster.lab.test., 0 api.mycluster.lab.test.",
			"console-openshift-console.apps.mycluster.lab.test. A": "NOERROR, aa, 0 192.0.2.210",
			"x.y.apps.mycluster.lab.test. A":                       "NOERROR, aa, 0 192.0.2.210",
			// address= is for the name itself, too, and knows one type.
			"apps.mycluster.lab.test. A":       "NOERROR, aa, 0 192.0.2.210",
			"x.apps.mycluster.lab.test. AAAA":  "NXDOMAIN",
			"x.apps.mycluster.lab.test. HTTPS": "NXDOMAIN",
		}},
		{"unbound", peer.Unbound, map[string]string{
			"9.2.0.192.in-addr.arpa. PTR": "NXDOMAIN, aa, soa 10800",     // its own zone for addresses of nobody
			"apps.mycluster.lab.test. A":  "NOERROR, aa, 60 192.0.2.210", // a redirect is for the name itself, too
		}},
	}
	ours := askAll(t, serveOurs(t))
	for _, tt := range tests {
		t.Run(tt.format, func(t *testing.T) {
			theirs := askAll(t, serveExport(t, tt.kind, tt.format))
			got := map[string]string{}
			for _, q := range slices.Sorted(maps.Keys(ours)) {
				if theirs[q] != ours[q] {
					got[q] = theirs[q]
				}
			}
			if diff := cmp.Diff(tt.differ, got); diff != "" {
				t.Errorf("answers other than ours (-listed +got)\n%s", diff)
			}
		})
	}
}

func serveExport(t *testing.T, kind peer.Kind, format string) netip.AddrPort {
	t.Helper()
	e, err := Build(format, lab(), labOptions())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range e.Files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), []byte(f.Text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return kind.Start(t, dir, e.Files[0].Name, "api.mycluster.lab.test.")
}

func serveOurs(t *testing.T) netip.AddrPort {
	t.Helper()
	c := lab()
	c.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	s := dnsserver.New(dnsserver.Options{})
	if err := s.Set(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Addrs()[0]
}

func askAll(t *testing.T, at netip.AddrPort) map[string]string {
	t.Helper()
	answers := map[string]string{}
	for _, q := range questions {
		answers[fmt.Sprint(q.name, " ", dns.Type(q.rtype))] = ask(t, at, q.name, q.rtype)
	}
	return answers
}

// ask is what the server says, in a line: code, whether it is authoritative,
// the data with its TTL, and what there is beside it.
func ask(t *testing.T, at netip.AddrPort, name string, rtype uint16) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m := new(dns.Msg).SetQuestion(name, rtype)
	r, err := dns.ExchangeContext(ctx, m, at.String())
	if err != nil {
		t.Fatalf("%s %s: %v", name, dns.Type(rtype), err)
	}
	words := []string{dns.RcodeToString[r.Rcode]}
	if r.Authoritative {
		words = append(words, "aa")
	}
	var data []string
	for _, rr := range r.Answer {
		data = append(data, fmt.Sprint(rr.Header().Ttl, " ", strings.TrimPrefix(rr.String(), rr.Header().String())))
	}
	slices.Sort(data)
	words = append(words, data...)
	for _, rr := range r.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			words = append(words, fmt.Sprint("soa ", rr.Header().Ttl))
		}
	}
	return strings.Join(words, ", ")
}
