package dnsserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/hint"
)

func TestSetNamesEveryProblem(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	err := s.Set(Config{
		Listen: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:53")},
		Zones: []Zone{
			lab(1,
				Record{Name: "a.mycluster.lab.test.", Type: "A", Data: "192.0.2.300"},
				Record{Name: "b.mycluster.lab.test", Type: "A", Data: "192.0.2.1"},
				Record{Name: "c.lab.test.", Type: "A", Data: "192.0.2.1"},
				Record{Name: "d.mycluster.lab.test.", Type: "DNAME", Data: "example.org."},
				Record{Name: "e.mycluster.lab.test.", Type: "TXT", Data: "x\n$TTL 1"},
				Record{Name: "f.mycluster.lab.test.", Type: "A", TTL: 1 << 31, Data: "192.0.2.1"},
			),
			{Name: "x.test.", NS: "ns.x.test.", Records: []Record{
				{Name: "www.x.test.", Type: "CNAME", Data: "x.test."},
				{Name: "www.x.test.", Type: "A", Data: "192.0.2.1"},
				{Name: "*.x.test.", Type: "NS", Data: "ns.x.test."},
			}},
			{Name: "y.test.", NS: "ns.y.test."}, {Name: "Y.test.", NS: "ns.y.test."},
			{Name: "z.test.", NS: "ns.z.test.", Serial: 2, Records: []Record{
				{Name: "z.test.", Type: "SOA", Data: "ns h 1 2 3 4 5"},
			}},
		},
		Forward:   &Forward{Upstreams: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:53")}},
		Transfer:  &Transfer{Allow: []netip.Prefix{{}}, Keys: []string{"key"}},
		RateLimit: &RateLimit{PerSecond: -1},
	})
	want := `listen address 0.0.0.0:53: name one address of this host, not all
zone mycluster.lab.test.: record a.mycluster.lab.test. A: the data "192.0.2.300": bad A A: "192.0.2.300"
zone mycluster.lab.test.: record b.mycluster.lab.test A: "b.mycluster.lab.test" is not an absolute domain name: it ends without a dot
zone mycluster.lab.test.: record c.lab.test. A: the name is not in the zone
zone mycluster.lab.test.: record d.mycluster.lab.test. DNAME: no such type, or not one that can be served
zone mycluster.lab.test.: record e.mycluster.lab.test. TXT: the data "x\n$TTL 1" has a line break
zone mycluster.lab.test.: record f.mycluster.lab.test. A: TTL 2147483648 is over 2147483647
zone x.test.: *.x.test. delegates a wildcard (RFC 4592 4.2)
zone x.test.: www.x.test. has a CNAME and other records (RFC 1034 3.6.2)
zone Y.test. is given twice
zone z.test.: the SOA record (ns.z.test., serial 1, minimum 5) and the zone (ns.z.test., serial 2, min_ttl 0) differ
forward: upstream 0.0.0.0:53: write an address and a port
forward: upstream 0.0.0.0:53 is this server: queries would go round
transfer: an allowed network is not valid
transfer: key "key" is not an absolute domain name: it ends without a dot
rate limit: -1 answers a second are not within 0 to 32768`
	if d := cmp.Diff(want, fmt.Sprint(err)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestSerialOnlyGrows(t *testing.T) {
	more := Record{Name: "worker-0.mycluster.lab.test.", Type: "A", Data: "192.0.2.204"}
	for _, c := range []struct {
		name        string
		first, then Zone
		want        string
	}{
		{"the same again", lab(7), lab(7), ""},
		{"records and serial", lab(7), lab(8, more), ""},
		{"serial alone", lab(7), lab(8), ""},
		{"round the end of 32 bits (RFC 1982)", lab(1<<32 - 1), lab(3), ""},
		{"back", lab(7), lab(6), "zone mycluster.lab.test.: serial 6 is older than 7, which is served"},
		{"records alone", lab(7), lab(7, more), "zone mycluster.lab.test.: the records changed and serial 7 did not"},
	} {
		s := New(Options{})
		if err := s.Set(Config{Zones: []Zone{c.first}}); err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := s.Set(Config{Zones: []Zone{c.then}}); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		served := map[bool]uint32{true: c.then.Serial, false: c.first.Serial}[c.want == ""]
		if d := cmp.Diff(map[string]uint32{"mycluster.lab.test.": served}, s.Stats().Serials); d != "" {
			t.Errorf("%s: serials (-want +got):\n%s", c.name, d)
		}
		s.Close()
	}
}

func TestSetRebindsOnlyWhatChanged(t *testing.T) {
	s, first := started(t, Options{}, Config{Zones: []Zone{lab(1)}})
	kept := dial(t, first)
	other := netip.MustParseAddrPort("127.0.0.2:0")
	if err := s.Set(Config{Listen: []netip.AddrPort{loopback, other}, Zones: []Zone{lab(1)}}); err != nil {
		t.Fatal(err)
	}
	addrs := s.Addrs()
	if len(addrs) != 2 || addrs[0].String() != first {
		t.Fatalf("bound %v, want %s first", addrs, first)
	}
	ask(t, "tcp", addrs[1].String(), "api.mycluster.lab.test.", dns.TypeA)
	if err := s.Set(Config{Listen: []netip.AddrPort{loopback}, Zones: []Zone{lab(1)}}); err != nil {
		t.Fatal(err)
	}
	within(t, "the address is free again", func() bool {
		l, err := listen(addrs[1])
		if err == nil {
			l.close()
		}
		return err == nil
	})
	// The connection from before both changes still answers.
	kept.Write(frame(mustPack(t, new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA))))
	if _, err := readFrame(kept); err != nil {
		t.Error(err)
	}
}

func TestTakenPortNamesItsHolderAndChangesNothing(t *testing.T) {
	_, taken := started(t, Options{}, Config{})
	s := New(Options{})
	defer s.Close()
	err := s.Set(Config{Listen: []netip.AddrPort{loopback, netip.MustParseAddrPort(taken)}, Zones: []Zone{lab(1)}})
	want := fmt.Sprintf("bind tcp %s: address already in use by %s (pid %d)", taken, comm(t), os.Getpid())
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if hint.Of(err) == "" {
		t.Error("no hint")
	}
	if got := s.Addrs(); len(got) != 0 || len(s.Stats().Serials) != 0 {
		t.Errorf("bound %v, serves %v", got, s.Stats().Serials)
	}
}

func comm(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(name))
}

func TestServeEndsAndFreesItsAddresses(t *testing.T) {
	s := New(Options{})
	if err := s.Set(Config{Listen: []netip.AddrPort{loopback}}); err != nil {
		t.Fatal(err)
	}
	addr := s.Addrs()[0]
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx) }()
	open := dial(t, addr.String())
	ask(t, "tcp", addr.String(), "example.org.", dns.TypeA)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := readFrame(open); err == nil {
		t.Error("the connection is still open")
	}
	if l, err := listen(addr); err != nil {
		t.Error(err)
	} else {
		l.close()
	}
	if err := s.Set(Config{}); !errors.Is(err, errClosed) {
		t.Errorf("Set after the end: %v", err)
	}
	if err := s.Serve(context.Background()); !errors.Is(err, errClosed) {
		t.Errorf("Serve after the end: %v", err)
	}
}

func TestQueryUnderWayIsAnsweredAtTheEnd(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	u := scripted(t, func(q received) []*dns.Msg { close(asked); <-release; return address(q) })
	s, addr := forwarding(t, 5*time.Second, u)
	answered := make(chan *dns.Msg)
	go func() { answered <- ask(t, "udp", addr, "example.org.", dns.TypeA) }()
	<-asked
	go s.Close()
	within(t, "the server is closing", func() bool { return len(s.Addrs()) == 0 })
	close(release)
	if r := <-answered; len(r.Answer) != 1 {
		t.Errorf("%v", r)
	}
}

func TestStatsAndLogTellWhatWasAsked(t *testing.T) {
	s, addr := started(t, Options{Log: 2}, Config{Zones: []Zone{lab(1)}})
	ask(t, "udp", addr, "api.mycluster.lab.test.", dns.TypeA)
	ask(t, "udp", addr, "NOPE.mycluster.lab.test.", dns.TypeAAAA)
	ask(t, "tcp", addr, "example.org.", dns.TypeA)
	st := s.Stats()
	want := Stats{UDP: 2, TCP: 1, Rcodes: map[string]uint64{"NOERROR": 1, "NXDOMAIN": 1, "REFUSED": 1}, Serials: map[string]uint32{"mycluster.lab.test.": 1}}
	if d := cmp.Diff(want, st); d != "" {
		t.Errorf("stats (-want +got):\n%s", d)
	}
	got := s.Queries()
	for i, q := range got {
		if time.Since(q.Time) > time.Minute || !q.Client.Addr().IsLoopback() {
			t.Errorf("%+v", q)
		}
		got[i].Time, got[i].Client = time.Time{}, netip.AddrPort{}
	}
	log := []Query{
		{Name: "nope.mycluster.lab.test.", Type: "AAAA", Rcode: "NXDOMAIN"},
		{TCP: true, Name: "example.org.", Type: "A", Rcode: "REFUSED"},
	}
	if d := cmp.Diff(log, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
}

func TestPanicCostsOneQuery(t *testing.T) {
	s, addr := started(t, Options{}, Config{Zones: []Zone{lab(1)}})
	good := s.table.Load()
	s.table.Store(&table{zones: map[wireName]*zone{mustWire("broken.test."): nil, mustWire("bug.test."): {}}})
	if r := ask(t, "udp", addr, "bug.test.", dns.TypeA); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("%v", r)
	}
	s.table.Store(good)
	ask(t, "udp", addr, "api.mycluster.lab.test.", dns.TypeA)
	if st := s.Stats(); st.Panics != 1 || !strings.Contains(st.LastPanic, "lookup.go") {
		t.Errorf("%d panics, the last: %s", st.Panics, st.LastPanic)
	}
}

func TestConfigSurvivesJSON(t *testing.T) {
	c := Config{
		Listen: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.210:53"), netip.MustParseAddrPort("[2001:db8::210]:53")},
		Zones:  []Zone{lab(1), reverse()},
		Forward: &Forward{
			Upstreams: []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:53")},
			Allow:     []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
			Stale:     86400,
		},
		Transfer:  &Transfer{Allow: []netip.Prefix{netip.MustParsePrefix("2001:db8::/56")}, Keys: []string{"secondary.lab.test."}},
		RateLimit: &RateLimit{PerSecond: 200, Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Config
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c, back, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
