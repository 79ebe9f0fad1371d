package dnsserver

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// variety has a name of every kind: both paths are asked for all of them.
func variety() []Zone {
	parent := Zone{Name: "Lab.test.", Serial: 1, NS: "NS.lab.test.", TTL: 300, MinTTL: 30, Records: []Record{
		rec("mycluster.lab.test.", "NS", "ns1.mycluster.lab.test."), rec("ns1.mycluster.lab.test.", "A", "192.0.2.99"),
		rec("*.lab.test.", "A", "192.0.2.1"), rec("*.lab.test.", "MX", "10 x.y.lab.test."), rec("a.b.c.lab.test.", "TXT", "x"),
		rec("cut.lab.test.", "NS", "ns.cut"), rec("ns.cut.lab.test.", "AAAA", "2001:db8::1"), rec("*.cut.lab.test.", "A", "192.0.2.2"),
		rec("alias.lab.test.", "CNAME", "api.mycluster"), rec("*.alias.lab.test.", "CNAME", "ns"),
		rec("*.srv.lab.test.", "SRV", "0 10 2380 ETCD-0.lab.test."), rec("*.soa.lab.test.", "NAPTR", `1 1 "u" "x" "" .`),
		rec(`odd\;name\032.lab.test.`, "TXT", `"a;b" "c\"d"`), rec(`\000.zero.lab.test.`, "PTR", `\000.zero.lab.test.`),
		rec(`*.zero.lab.test.`, "PTR", `\000.zero.lab.test.`), rec("ns.lab.test.", "A", "192.0.2.3"), rec("*.*.star.lab.test.", "A", "192.0.2.4"),
	}}
	for i := range 40 {
		parent.Records = append(parent.Records, rec("many.lab.test.", "A", fmt.Sprintf("192.0.2.%d", i)),
			rec("*.many.lab.test.", "A", fmt.Sprintf("192.0.2.%d", i)))
	}
	for i := range 12 {
		parent.Records = append(parent.Records, rec("*.pointers.lab.test.", "PTR", fmt.Sprintf("ns%d.farm%d.lab.test.", i, i/3)))
	}
	return []Zone{parent, lab(1), reverse(), {Name: "root-child.", Serial: 1, NS: ".", MinTTL: 5}}
}

// bothWays asks the fast path and the ordinary one. It reports whether the
// fast path took the packet.
func bothWays(t *testing.T, s *Server, packet []byte) bool {
	t.Helper()
	var out [udpSize]byte
	f := fastPath{s: s, count: s.meter.lane()}
	sent := strings.Clone(string(packet))
	n, done := f.answer(packet, client, out[:], time.Now())
	slow, later := s.handle([]byte(sent), client, false)
	if st := s.Stats(); st.Panics > 0 {
		t.Fatal(st.LastPanic)
	}
	if !done {
		return false
	}
	a, b := new(dns.Msg), new(dns.Msg)
	if err := a.Unpack(out[:n]); err != nil {
		t.Fatalf("%v: %x to %x", err, out[:n], sent)
	}
	if err := b.Unpack(slow); err != nil || later != nil {
		t.Fatalf("the ordinary path: %v", err)
	}
	// Names in records may be shorter where the ordinary path sees more of the
	// question to point at.
	for _, m := range []*dns.Msg{a, b} {
		for _, rr := range slices.Concat(m.Answer, m.Ns) {
			rr.Header().Rdlength = 0
		}
	}
	if d := cmp.Diff(b, a); d != "" || n < len(slow) {
		t.Fatalf("to %x\n%d octets, the ordinary path %d; (-ordinary +fast):\n%s", sent, n, len(slow), d)
	}
	return true
}

func TestBothPathsAnswerTheSame(t *testing.T) {
	s := serving(t, variety()...)
	if err := s.Set(Config{Zones: variety(), Forward: &Forward{Upstreams: []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:53")}}}); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x.", 90)
	taken := 0
	for name := range s.table.Load().spots {
		for _, prefix := range []string{"", "x.", "NOPE.", "a.b.", `\000.`, `*.`, long, strings.Repeat("y", 63) + "."} {
			for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypePTR, dns.TypeSRV, dns.TypeTXT, dns.TypeNAPTR, dns.TypeNS, dns.TypeSOA, dns.TypeDS, dns.TypeCNAME, dns.TypeANY, 65280} {
				m := new(dns.Msg).SetQuestion(prefix+name.text(), qtype)
				if packet, err := m.Pack(); err == nil && bothWays(t, s, packet) {
					taken++
				}
				m.SetEdns0(4096, true)
				if packet, err := m.Pack(); err == nil && bothWays(t, s, packet) {
					taken++
				}
			}
		}
	}
	if taken < 3000 {
		t.Errorf("the fast path took %d queries only", taken)
	}
}

// fastQueries are queries that the fast path has to take, by kind of answer.
func fastQueries(t testing.TB) map[string][]byte {
	t.Helper()
	queries := map[string][]byte{}
	add := func(kind, name string, qtype uint16, more ...dns.EDNS0) *dns.Msg {
		m := new(dns.Msg).SetQuestion(name, qtype)
		queries[kind] = mustPack(t, m)
		m.SetEdns0(1232, true)
		m.IsEdns0().Option = more
		queries[kind+" with EDNS"] = mustPack(t, m)
		return m
	}
	add("address", "api.mycluster.lab.test.", dns.TypeA)
	add("letters", "API.MyCluster.LAB.test.", dns.TypeA)
	add("wildcard", "console.apps.mycluster.lab.test.", dns.TypeA)
	add("wildcard, deep", "a.b.c.d.apps.mycluster.lab.test.", dns.TypeA)
	add("pointers behind the name", "some.pointers.lab.test.", dns.TypePTR)
	add("NODATA", "api.mycluster.lab.test.", dns.TypeAAAA)
	add("NODATA of a wildcard", "console.apps.mycluster.lab.test.", dns.TypeHTTPS)
	add("empty non-terminal", "apps.mycluster.lab.test.", dns.TypeA)
	add("NXDOMAIN", "nope.mycluster.lab.test.", dns.TypeA)
	add("NXDOMAIN below a name", "nope.api.mycluster.lab.test.", dns.TypeAAAA)
	add("PTR", "201.2.0.192.in-addr.arpa.", dns.TypePTR)
	add("SOA", "mycluster.lab.test.", dns.TypeSOA)
	add("options", "api.mycluster.lab.test.", dns.TypeA, &dns.EDNS0_PADDING{Padding: make([]byte, 31)}, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})
	return queries
}

func TestFastPathTakesWhatIsUsualAndAllocatesNothing(t *testing.T) {
	s := serving(t, variety()...)
	forward := &Forward{Upstreams: []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:53")}, Allow: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}}
	if err := s.Set(Config{Zones: variety(), Forward: forward}); err != nil {
		t.Fatal(err)
	}
	f := fastPath{s: s, count: s.meter.lane()}
	now := time.Now()
	var out [udpSize]byte
	for kind, packet := range fastQueries(t) {
		if !bothWays(t, s, packet) {
			t.Errorf("%s: left to the ordinary path", kind)
		}
		for _, from := range []string{"192.0.2.201:4242", "[::ffff:192.0.2.201]:4242", "[2001:db8::201]:4242", "[fe80::1%2]:4242"} {
			from := netip.MustParseAddrPort(from)
			if n := testing.AllocsPerRun(100, func() { f.answer(packet, from, out[:], now) }); n != 0 {
				t.Errorf("%s from %s: %v allocations", kind, from, n)
			}
		}
	}
}

// What is not plain is the business of the ordinary path.
func TestFastPathLeaves(t *testing.T) {
	s := serving(t, variety()...)
	query := func(name string, qtype uint16, change ...func(*dns.Msg)) []byte {
		m := new(dns.Msg).SetQuestion(name, qtype)
		for _, f := range change {
			f(m)
		}
		return mustPack(t, m)
	}
	const api = "api.mycluster.lab.test."
	plain := query(api, dns.TypeA)
	with := func(at int, value byte) []byte {
		p := append([]byte{}, plain...)
		p[at] = value
		return p
	}
	option := func(o dns.EDNS0) func(*dns.Msg) {
		return func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().Option = []dns.EDNS0{o} }
	}
	for why, packet := range map[string][]byte{
		"nothing":              nil,
		"a header":             plain[:12],
		"a cut question":       plain[:len(plain)-1],
		"an octet too much":    append(plain[:len(plain):len(plain)], 0),
		"a response":           with(2, 0x81),
		"another opcode":       with(2, 0x10),
		"two questions":        with(5, 2),
		"an answer":            with(7, 1),
		"an authority":         with(9, 1),
		"a missing OPT":        with(11, 1),
		"two additionals":      with(11, 2),
		"a pointer":            with(12, 0xC0),
		"a long label":         with(12, 64),
		"class CH":             with(len(plain)-1, dns.ClassCHAOS),
		"ANY":                  query(api, dns.TypeANY),
		"DS":                   query(api, dns.TypeDS),
		"TKEY":                 query(api, dns.TypeTKEY),
		"AXFR":                 query("mycluster.lab.test.", dns.TypeAXFR),
		"type 0":               query(api, 0),
		"type OPT":             query(api, dns.TypeOPT),
		"a cookie":             query(api, dns.TypeA, option(&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"})),
		"EDNS version 1":       query(api, dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, false).IsEdns0().SetVersion(1) }),
		"another additional":   query(api, dns.TypeA, func(m *dns.Msg) { m.Extra = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeA}}} }),
		"a foreign name":       query("example.org.", dns.TypeA),
		"the root":             query(".", dns.TypeNS),
		"an alias":             query("alias.lab.test.", dns.TypeA),
		"a wildcard alias":     query("x.alias.lab.test.", dns.TypeA),
		"a referral":           query("www.cut.lab.test.", dns.TypeA),
		"glue":                 query("ns.cut.lab.test.", dns.TypeAAAA),
		"what is too long":     query("many.lab.test.", dns.TypeA),
		"a pointer that hides": query("x.zero.lab.test.", dns.TypePTR),
	} {
		if bothWays(t, s, packet) {
			t.Errorf("%s: answered by the fast path", why)
		}
	}
	m := new(dns.Msg).SetQuestion("many.lab.test.", dns.TypeA).SetEdns0(1232, false)
	if !bothWays(t, s, mustPack(t, m)) {
		t.Error("not taken though it fits")
	}
}

// A panic in the fast path leaves the query to the ordinary one.
func TestPanicInTheFastPathCostsNothing(t *testing.T) {
	s := serving(t, lab(1))
	f := fastPath{s: s, count: s.meter.lane()}
	packet := mustPack(t, new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA))
	if n, done := f.answer(packet, client, nil, time.Now()); done {
		t.Errorf("answered with %d octets that had no room", n)
	}
	if st := s.Stats(); st.Panics != 1 || !strings.Contains(st.LastPanic, "fast.go") {
		t.Errorf("%d panics, the last: %s", st.Panics, st.LastPanic)
	}
}

func TestFoldName(t *testing.T) {
	long := strings.Repeat("\x01a", 127)
	for _, c := range []struct {
		in, want string
	}{
		{"\x03ApI\x04@[`{\x00rest", "\x03api\x04@[`{\x00"},
		{"\x02\xC1\xE1\x00", "\x02\xC1\xE1\x00"},
		{"\x00", "\x00"},
		{long + "\x00", long + "\x00"},
		{"\x02ab" + long[:252] + "\x00", ""}, // 256 octets
		{"\x3F" + strings.Repeat("z", 63) + "\x00", "\x3F" + strings.Repeat("z", 63) + "\x00"},
		{"", ""}, {"\x03ab", ""}, {"\x03abc", ""}, {"\x40", ""}, {"\x01a\xC0\x0C", ""},
	} {
		var low [maxName]byte
		if got := string(low[:foldName(&low, []byte(c.in))]); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

// Whatever the fast path takes it answers as the ordinary path does.
func FuzzPaths(f *testing.F) {
	s := serving(f, variety()...)
	for _, packet := range fastQueries(f) {
		f.Add(packet, uint16(0), "")
	}
	f.Add([]byte{}, dns.TypeA, "x.APPS.mycluster.lab.test.")
	f.Fuzz(func(t *testing.T, packet []byte, qtype uint16, name string) {
		bothWays(t, s, packet)
		// A name that reads, so that the fuzzer need not keep lengths right.
		if wire, err := pack(name); err == nil {
			m := append([]byte("\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"), wire...)
			m = binary.BigEndian.AppendUint16(m, qtype)
			bothWays(t, s, binary.BigEndian.AppendUint16(m, dns.ClassINET))
		}
	})
}

func BenchmarkFastPath(b *testing.B) {
	s := New(Options{})
	defer s.Close()
	if err := s.Set(Config{Zones: variety()}); err != nil {
		b.Fatal(err)
	}
	f := fastPath{s: s, count: s.meter.lane()}
	var out [udpSize]byte
	for _, kind := range []string{"address", "wildcard", "NODATA", "NXDOMAIN"} {
		packet := fastQueries(b)[kind]
		b.Run(kind, func(b *testing.B) {
			now := time.Now()
			for b.Loop() {
				f.answer(packet, client, out[:], now)
			}
		})
	}
}
