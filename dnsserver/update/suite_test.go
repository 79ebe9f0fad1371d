package update

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/dnsserver"
	"github.com/slipway-project/slipway/internal/secret"
)

// A primary is a server that holds lab.test. with foreign records in it, and
// 2.0.192.in-addr.arpa.
type primary struct {
	at netip.AddrPort
}

const foreignRecords = `lab.test. 300 IN SOA ns.lab.test. hostmaster.lab.test. 1 7200 900 1209600 10
lab.test. 300 IN NS ns.lab.test.
ns.lab.test. 300 IN A 192.0.2.1
*.dyn.lab.test. 300 IN A 192.0.2.9
taken.mycluster.lab.test. 300 IN A 192.0.2.66
`

const foreignReverse = `2.0.192.in-addr.arpa. 300 IN SOA ns.lab.test. hostmaster.lab.test. 1 7200 900 1209600 10
2.0.192.in-addr.arpa. 300 IN NS ns.lab.test.
1.2.0.192.in-addr.arpa. 300 IN PTR ns.lab.test.
`

func (p primary) target() Target {
	return Target{Server: p.at, Key: Key{"slipway", "hmac-sha256", secret.Of("test", testSecret)}}
}

// records are the zone's, but for SOA and NS, as the server shows them to the
// key by single questions.
func (p primary) records(t *testing.T, names ...string) (out []string) {
	t.Helper()
	s, err := open(t.Context(), p.target())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, name := range names {
		for _, rtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeTXT, dns.TypeSSHFP} {
			r, err := s.ask(t.Context(), new(dns.Msg).SetQuestion(name, rtype))
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, rr := range r.Answer {
				lines = append(lines, strings.Join(strings.Fields(strings.ReplaceAll(rr.String(), "\tIN", "")), " "))
			}
			slices.Sort(lines)
			out = append(out, lines...)
		}
	}
	return out
}

func (p primary) serial(t *testing.T, zone string) uint32 {
	t.Helper()
	s, err := open(t.Context(), p.target())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	r, err := s.ask(t.Context(), new(dns.Msg).SetQuestion(zone, dns.TypeSOA))
	if err != nil || len(r.Answer) != 1 {
		t.Fatalf("SOA of %s: %v, %v", zone, r, err)
	}
	return r.Answer[0].(*dns.SOA).Serial
}

// meddle changes the server's records behind our back, with the same key.
func (p primary) meddle(t *testing.T, zone string, change func(*dns.Msg)) {
	t.Helper()
	s, err := open(t.Context(), p.target())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	m := new(dns.Msg).SetUpdate(zone)
	change(m)
	if r, err := s.ask(t.Context(), m); err != nil || r.Rcode != dns.RcodeSuccess {
		t.Fatalf("%v, %v", r, err)
	}
}

func parsed(t *testing.T, line string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(line)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

const owner = "mycluster.lab.test"

// cluster is the zones of a cluster with these workers, by last octet.
func cluster(workers ...string) []dnsserver.Zone {
	forward := dnsserver.Zone{Name: "mycluster.lab.test.", Serial: 1, NS: "api.mycluster.lab.test.", TTL: 60, MinTTL: 10, Records: []dnsserver.Record{
		{Name: "api.mycluster.lab.test.", Type: "A", Data: "192.0.2.210"},
		{Name: "*.apps.mycluster.lab.test.", Type: "A", Data: "192.0.2.210"},
	}}
	reverse := dnsserver.Zone{Name: "2.0.192.in-addr.arpa.", Serial: 1, NS: "api.mycluster.lab.test.", TTL: 60, MinTTL: 10, Records: []dnsserver.Record{
		{Name: "210.2.0.192.in-addr.arpa.", Type: "PTR", Data: "api.mycluster.lab.test."},
	}}
	for i, octet := range workers {
		name := "worker-" + string(rune('0'+i)) + ".mycluster.lab.test."
		forward.Records = append(forward.Records, dnsserver.Record{Name: name, Type: "A", Data: "192.0.2." + octet})
		reverse.Records = append(reverse.Records, dnsserver.Record{Name: octet + ".2.0.192.in-addr.arpa.", Type: "PTR", Data: name})
	}
	return []dnsserver.Zone{forward, reverse}
}

// counts are what a summary says, by zone.
func counts(s Summary) map[string]Counts {
	out := map[string]Counts{}
	for _, z := range s.Zones {
		out[z.Zone] = z.Counts
	}
	return out
}

func push(t *testing.T, p primary, zones []dnsserver.Zone, want map[string]Counts) {
	t.Helper()
	sum, err := Push(t.Context(), p.target(), zones, owner)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, counts(sum)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

const fingerprint = "00112233445566778899AABBCCDDEEFF00112233"

const arpa = "2.0.192.in-addr.arpa."

// suite is what holds on every server, one that hands out whole zones or not.
// Each test gets a new server.
func suite(t *testing.T, whole bool, start func(*testing.T) primary) {
	t.Run("a push adds records and marks, and no more than once", func(t *testing.T) {
		p := start(t)
		push(t, p, cluster("204"), map[string]Counts{"lab.test.": {Added: 3}, arpa: {Added: 2}})
		want := []string{
			"api.mycluster.lab.test. 60 A 192.0.2.210",
			`api.mycluster.lab.test. 60 TXT "heritage=slipway,owner=mycluster.lab.test,type=A"`,
			"x.apps.mycluster.lab.test. 60 A 192.0.2.210",
			`x.apps.mycluster.lab.test. 60 TXT "heritage=slipway,owner=mycluster.lab.test,type=A"`,
			"204.2.0.192.in-addr.arpa. 60 PTR worker-0.mycluster.lab.test.",
			`204.2.0.192.in-addr.arpa. 60 TXT "heritage=slipway,owner=mycluster.lab.test,type=PTR"`,
		}
		if diff := cmp.Diff(want, p.records(t, "api.mycluster.lab.test.", "x.apps.mycluster.lab.test.", "204."+arpa)); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		before := p.serial(t, "lab.test.")
		push(t, p, cluster("204"), map[string]Counts{"lab.test.": {Unchanged: 3}, arpa: {Unchanged: 2}})
		if after := p.serial(t, "lab.test."); after != before {
			t.Errorf("a second push raised the serial from %d to %d", before, after)
		}
	})
	t.Run("a push changes what moved and removes what is gone", func(t *testing.T) {
		p := start(t)
		push(t, p, cluster("204", "205"), map[string]Counts{"lab.test.": {Added: 4}, arpa: {Added: 3}})
		wantForward, wantReverse := Counts{Changed: 1, Unchanged: 2, Removed: 1}, Counts{Added: 1, Unchanged: 1, Removed: 2}
		if !whole { // names that are not asked for are not known
			wantForward.Removed, wantReverse.Removed = 0, 0
		}
		push(t, p, cluster("207"), map[string]Counts{"lab.test.": wantForward, arpa: wantReverse})
		want := []string{"worker-0.mycluster.lab.test. 60 A 192.0.2.207",
			`worker-0.mycluster.lab.test. 60 TXT "heritage=slipway,owner=mycluster.lab.test,type=A"`}
		if diff := cmp.Diff(want, p.records(t, "worker-0.mycluster.lab.test.")); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if left := p.records(t, "worker-1.mycluster.lab.test."); whole != (len(left) == 0) {
			t.Errorf("of the worker that is gone there is %q", left)
		}
	})
	t.Run("a TTL alone is a change", func(t *testing.T) {
		p := start(t)
		push(t, p, cluster(), map[string]Counts{"lab.test.": {Added: 2}, arpa: {Added: 1}})
		zones := cluster()
		zones[0].Records[0].TTL = 90
		push(t, p, zones, map[string]Counts{"lab.test.": {Changed: 1, Unchanged: 1}, arpa: {Unchanged: 1}})
		if got := p.records(t, "api.mycluster.lab.test.")[0]; got != "api.mycluster.lab.test. 90 A 192.0.2.210" {
			t.Error(got)
		}
		push(t, p, zones, map[string]Counts{"lab.test.": {Unchanged: 2}, arpa: {Unchanged: 1}})
	})
	t.Run("foreign records are named, and the zone is left alone", func(t *testing.T) {
		p := start(t)
		zones := cluster()
		zones[0].Records = append(zones[0].Records, dnsserver.Record{Name: "taken.mycluster.lab.test.", Type: "AAAA", Data: "2001:db8::1"})
		sum, err := Push(t.Context(), p.target(), zones, owner)
		var conflict *ConflictError
		if !errors.As(err, &conflict) || conflict.Zone != "lab.test." || len(conflict.Names) != 1 || !strings.HasPrefix(conflict.Names[0], "taken.mycluster.lab.test. (") {
			t.Errorf("error %v", err)
		}
		if diff := cmp.Diff(map[string]Counts{arpa: {Added: 1}}, counts(sum)); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		want := []string{"taken.mycluster.lab.test. 300 A 192.0.2.66"}
		if diff := cmp.Diff(want, p.records(t, "taken.mycluster.lab.test.", "api.mycluster.lab.test.")); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
	t.Run("another cluster's records are foreign", func(t *testing.T) {
		p := start(t)
		push(t, p, cluster(), map[string]Counts{"lab.test.": {Added: 2}, arpa: {Added: 1}})
		_, err := Push(t.Context(), p.target(), cluster()[:1], "other.lab.test")
		want := "zone lab.test. has records that are not ours: *.apps.mycluster.lab.test. (it belongs to mycluster.lab.test); api.mycluster.lab.test. (it belongs to mycluster.lab.test)"
		if err == nil || err.Error() != want {
			t.Errorf("error %v", err)
		}
		sum, err := Remove(t.Context(), p.target(), cluster(), "other.lab.test")
		if diff := cmp.Diff(map[string]Counts{"lab.test.": {}, arpa: {}}, counts(sum)); err != nil || diff != "" {
			t.Errorf("%v, -want +got\n%s", err, diff)
		}
	})
	t.Run("a name below a foreign wildcard is free", func(t *testing.T) {
		p := start(t)
		z := dnsserver.Zone{Name: "c.dyn.lab.test.", TTL: 60, Records: []dnsserver.Record{{Name: "c.dyn.lab.test.", Type: "A", Data: "192.0.2.3"}}}
		push(t, p, []dnsserver.Zone{z}, map[string]Counts{"lab.test.": {Added: 1}})
		push(t, p, []dnsserver.Zone{z}, map[string]Counts{"lab.test.": {Unchanged: 1}})
	})
	t.Run("a name below our own wildcard is added beside it", func(t *testing.T) {
		p := start(t)
		push(t, p, cluster(), map[string]Counts{"lab.test.": {Added: 2}, arpa: {Added: 1}})
		zones := cluster()[:1]
		zones[0].Records = append(zones[0].Records, dnsserver.Record{Name: "x.apps.mycluster.lab.test.", Type: "A", Data: "192.0.2.211"})
		push(t, p, zones, map[string]Counts{"lab.test.": {Added: 1, Unchanged: 2}})
	})
	t.Run("a removal takes exactly what is marked", func(t *testing.T) {
		p := start(t)
		push(t, p, cluster("204"), map[string]Counts{"lab.test.": {Added: 3}, arpa: {Added: 2}})
		p.meddle(t, "lab.test.", func(m *dns.Msg) {
			m.Insert([]dns.RR{parsed(t, "api.mycluster.lab.test. 60 IN SSHFP 4 1 "+fingerprint), parsed(t, `api.mycluster.lab.test. 60 IN TXT "mine"`)})
		})
		zones := cluster("204")
		if whole {
			zones = cluster() // of a spec that is lost but for its name
		}
		for i, want := range []map[string]Counts{{"lab.test.": {Removed: 3}, arpa: {Removed: 2}}, {"lab.test.": {}, arpa: {}}} {
			sum, err := Remove(t.Context(), p.target(), zones, owner)
			if diff := cmp.Diff(want, counts(sum)); err != nil || diff != "" {
				t.Errorf("removal %d: %v, -want +got\n%s", i, err, diff)
			}
		}
		want := []string{`api.mycluster.lab.test. 60 TXT "mine"`, "api.mycluster.lab.test. 60 SSHFP 4 1 " + fingerprint,
			"taken.mycluster.lab.test. 300 A 192.0.2.66", "1.2.0.192.in-addr.arpa. 300 PTR ns.lab.test."}
		got := p.records(t, "api.mycluster.lab.test.", "worker-0.mycluster.lab.test.", "taken.mycluster.lab.test.", "204."+arpa, "1."+arpa)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
	t.Run("250 nodes are one update", func(t *testing.T) {
		p := start(t)
		z := cluster()[0]
		for i := range 250 {
			name := "worker-with-a-long-name-" + strings.Repeat("x", 8) + string(rune('a'+i/26)) + string(rune('a'+i%26)) + ".mycluster.lab.test."
			z.Records = append(z.Records, dnsserver.Record{Name: name, Type: "A", Data: netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}).String()})
		}
		push(t, p, []dnsserver.Zone{z}, map[string]Counts{"lab.test.": {Added: 252}})
		push(t, p, []dnsserver.Zone{z}, map[string]Counts{"lab.test.": {Unchanged: 252}})
	})
	t.Run("a dry run says what it would send, and sends nothing", func(t *testing.T) {
		p := start(t)
		dry := p.target()
		dry.DryRun = true
		sum, err := Push(t.Context(), dry, cluster()[:1], owner)
		if err != nil {
			t.Fatal(err)
		}
		want := `zone lab.test.
prereq nxdomain api.mycluster.lab.test.
prereq nxdomain *.apps.mycluster.lab.test.
update add api.mycluster.lab.test. 60 A 192.0.2.210
update add api.mycluster.lab.test. 60 TXT "heritage=slipway,owner=mycluster.lab.test,type=A"
update add *.apps.mycluster.lab.test. 60 A 192.0.2.210
update add *.apps.mycluster.lab.test. 60 TXT "heritage=slipway,owner=mycluster.lab.test,type=A"
send
`
		if diff := cmp.Diff(want, sum.Zones[0].Update); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if got := p.records(t, "api.mycluster.lab.test."); got != nil {
			t.Errorf("the server has %q", got)
		}
	})
	t.Run("wrong keys and zones are explained", func(t *testing.T) {
		p := start(t)
		for name, tt := range map[string]struct {
			change func(*Target, []dnsserver.Zone)
			want   string // in the error, which names the server besides
		}{
			"another secret": {func(t *Target, _ []dnsserver.Zone) {
				t.Key.Secret = secret.Of("test", "b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXIhIQ==")
			}, "it has another secret for key slipway (BADSIG)"},
			"another name":      {func(t *Target, _ []dnsserver.Zone) { t.Key.Name = "nobody" }, "it does not know key nobody with hmac-sha256 (BADKEY)"},
			"a zone it has not": {func(_ *Target, z []dnsserver.Zone) { z[0].Name, z[0].Records = "nowhere.example.", nil }, "holds no zone for nowhere.example. (REFUSED)"},
		} {
			target, zones := p.target(), cluster()[:1]
			tt.change(&target, zones)
			_, err := Push(t.Context(), target, zones, owner)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), testSecret) {
				t.Errorf("%s: error %v", name, err)
			}
		}
	})
}
