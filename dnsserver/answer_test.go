package dnsserver

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

var client = netip.MustParseAddrPort("192.0.2.201:4242")

// handled asks without sockets.
func handled(t testing.TB, s *Server, packet []byte, tcp bool) *dns.Msg {
	t.Helper()
	reply, later := s.handle(packet, client, tcp)
	if later != nil {
		t.Fatal("would be forwarded")
	}
	m := new(dns.Msg)
	if err := m.Unpack(reply); err != nil {
		t.Fatalf("%v: %x", err, reply)
	}
	return m
}

func serving(t testing.TB, zones ...Zone) *Server {
	t.Helper()
	s := New(Options{})
	t.Cleanup(s.Close)
	if err := s.Set(Config{Zones: zones}); err != nil {
		t.Fatal(err)
	}
	return s
}

func rec(name, rtype, data string) Record { return Record{Name: name, Type: rtype, Data: data} }

func TestAnswers(t *testing.T) {
	parent := Zone{Name: "lab.test.", Serial: 1, NS: "ns.lab.test.", TTL: 300, MinTTL: 30, Records: []Record{
		rec("mycluster.lab.test.", "NS", "ns1.mycluster.lab.test."),
		rec("mycluster.lab.test.", "DS", "1 8 2 0000000000000000000000000000000000000000000000000000000000000000"),
		rec("ns1.mycluster.lab.test.", "A", "192.0.2.210"),
		rec("*.lab.test.", "A", "192.0.2.1"),
		rec("a.*.sub.lab.test.", "TXT", "x"),
		rec("cut.lab.test.", "NS", "ns.cut"),
		rec("ns.cut.lab.test.", "AAAA", "2001:db8::1"),
		rec("to-cut.lab.test.", "CNAME", "www.cut"),
		rec("loop-1.lab.test.", "CNAME", "loop-2"),
		rec("loop-2.lab.test.", "CNAME", "loop-1"),
		rec("to-child.lab.test.", "CNAME", "api.mycluster"),
		rec("to-nothing.lab.test.", "CNAME", "nope.mycluster"),
		rec(`odd\;name\032.lab.test.`, "TXT", `"a;b" "c\"d"`),
		rec("unknown.lab.test.", "TYPE65280", `\# 3 010203`),
		rec("many.lab.test.", "MX", "10 mx"), rec("many.lab.test.", "A", "192.0.2.2"), rec("many.lab.test.", "A", "192.0.2.2"),
		rec("*.alias.lab.test.", "CNAME", "ns"),
		rec("ns.lab.test.", "A", "192.0.2.3"),
	}}
	s := serving(t, parent, lab(1), reverse())
	soaP := "SOA ns.lab.test. hostmaster.lab.test. 1 7200 900 1209600 30"
	soaC := "SOA ns1.mycluster.lab.test. hostmaster.mycluster.lab.test. 1 7200 900 1209600 60"
	type want struct {
		rcode  string
		aa     bool
		answer string
		ns     string
		extra  string
	}
	for _, c := range []struct {
		about, name, qtype string
		want
	}{
		{"child zone beats parent zone", "api.mycluster.lab.test.", "A", want{"NOERROR", true, "A 192.0.2.210", "", ""}},
		{"the DS set of a child is its parent's", "mycluster.lab.test.", "DS", want{"NOERROR", true, "DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000", "", ""}},
		{"any other type of an apex is the child's", "mycluster.lab.test.", "A", want{"NOERROR", true, "", soaC, ""}},
		{"DS without a parent here is NODATA", "2.0.192.in-addr.arpa.", "DS", want{"NOERROR", true, "", "SOA ns1.mycluster.lab.test. hostmaster.mycluster.lab.test. 1 7200 900 1209600 60", ""}},
		{"wildcard at the apex", "foo.bar.lab.test.", "A", want{"NOERROR", true, "A 192.0.2.1", "", ""}},
		{"an asterisk inside a name is a wildcard node without records", "foo.sub.lab.test.", "TXT", want{"NOERROR", true, "", soaP, ""}},
		{"below a wildcard's literal", "a.*.sub.lab.test.", "TXT", want{"NOERROR", true, `TXT "x"`, "", ""}},
		{"referral with AAAA glue", "www.cut.lab.test.", "A", want{"NOERROR", false, "", "NS ns.cut.lab.test.", "AAAA 2001:db8::1"}},
		{"NS of a cut is a referral", "cut.lab.test.", "NS", want{"NOERROR", false, "", "NS ns.cut.lab.test.", "AAAA 2001:db8::1"}},
		{"DS of a cut without one is NODATA", "cut.lab.test.", "DS", want{"NOERROR", true, "", soaP, ""}},
		{"alias into a delegation", "to-cut.lab.test.", "A", want{"NOERROR", true, "CNAME www.cut.lab.test.", "NS ns.cut.lab.test.", "AAAA 2001:db8::1"}},
		{"alias loop ends", "loop-1.lab.test.", "A", want{"NOERROR", true, "CNAME loop-2.lab.test.; CNAME loop-1.lab.test.", "", ""}},
		{"alias into another zone of ours", "to-child.lab.test.", "A", want{"NOERROR", true, "CNAME api.mycluster.lab.test.; A 192.0.2.210", "", ""}},
		{"alias to nothing", "to-nothing.lab.test.", "A", want{"NXDOMAIN", true, "CNAME nope.mycluster.lab.test.", soaC, ""}},
		{"alias of a wildcard", "x.alias.lab.test.", "A", want{"NOERROR", true, "CNAME ns.lab.test.; A 192.0.2.3", "", ""}},
		{"alias and ANY", "x.alias.lab.test.", "ANY", want{"NOERROR", true, "CNAME ns.lab.test.", "", ""}},
		{"alias that leaves, for who may not forward", "out.mycluster.lab.test.", "A", want{"NOERROR", true, "CNAME www.example.net.", "", ""}},
		{"octets of every kind in names", `ODD\;name\032.lab.test.`, "TXT", want{"NOERROR", true, `TXT "a;b" "c\"d"`, "", ""}},
		{"unknown type", "unknown.lab.test.", "TYPE65280", want{"NOERROR", true, `TYPE65280 \# 3 010203`, "", ""}},
		{"ANY is one set, duplicates gone", "many.lab.test.", "ANY", want{"NOERROR", true, "A 192.0.2.2", "", ""}},
		{"ANY where nothing is", "cluster.sub.lab.test.", "ANY", want{"NOERROR", true, "", soaP, ""}},
		{"not a suffix on labels", "xlab.test.", "A", want{"REFUSED", false, "", "", ""}},
		{"zone transfer", "lab.test.", "AXFR", want{"REFUSED", false, "", "", ""}},
		{"incremental transfer", "lab.test.", "IXFR", want{"REFUSED", false, "", "", ""}},
		{"mail agents of 1983", "lab.test.", "MAILB", want{"NOTIMP", false, "", "", ""}},
		{"a type that is none", "lab.test.", "OPT", want{"FORMERR", false, "", "", ""}},
	} {
		q := conformanceQuery{Name: c.name, Type: c.qtype}
		m := new(dns.Msg).SetQuestion(c.name, q.qtype())
		r := handled(t, s, mustPack(t, m), false)
		got := want{rcodeName(r.Rcode), r.Authoritative, strings.Join(data(r.Answer), "; "), strings.Join(data(r.Ns), "; "), strings.Join(data(r.Extra), "; ")}
		if d := cmp.Diff(c.want, got, cmp.AllowUnexported(want{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.about, d)
		}
	}
}

func TestNegativeAnswersLiveAsLongAsTheSOASays(t *testing.T) {
	z := lab(1)
	z.TTL = 20 // less than MinTTL
	s := serving(t, z)
	m := new(dns.Msg).SetQuestion("nope.mycluster.lab.test.", dns.TypeA)
	if ttl := handled(t, s, mustPack(t, m), false).Ns[0].Header().Ttl; ttl != 20 {
		t.Errorf("TTL %d, want the lower of SOA TTL and minimum, 20", ttl)
	}
}

func TestSetHasOneTTL(t *testing.T) {
	const name = "lb.mycluster.lab.test."
	s := serving(t, lab(1, Record{name, "A", 90, "192.0.2.1"}, Record{name, "A", 0, "192.0.2.2"}, Record{name, "A", 60, "192.0.2.3"}))
	for _, rr := range handled(t, s, mustPack(t, new(dns.Msg).SetQuestion(name, dns.TypeA)), false).Answer {
		if rr.Header().Ttl != 60 {
			t.Errorf("%v, want the lowest TTL, 60", rr)
		}
	}
}

func TestAnswersAreCutToTheOctet(t *testing.T) {
	// Header 12, question 19 or 20, each address 16: n of them fill size.
	for _, c := range []struct {
		name string
		n    int
		edns uint16
		size int
		cut  bool
	}{
		{"full.lab.test.", 30, 0, 12 + 19 + 30*16, false},
		{"over.lab.test.", 31, 0, 512, true},
		{"full.lab.test.", 30, 512, 12 + 19 + 30*16 + 11, true},
		{"more.lab.test.", 70, 1232, 12 + 19 + 70*16 + 11, false},
		{"huge.lab.test.", 80, 4096, 1232, true}, // what passes without fragments
	} {
		z := Zone{Name: "lab.test.", NS: "ns.lab.test.", TTL: 1}
		for i := range c.n {
			z.Records = append(z.Records, rec(c.name, "A", fmt.Sprintf("198.51.100.%d", i)))
		}
		s := serving(t, z)
		m := new(dns.Msg).SetQuestion(c.name, dns.TypeA)
		if c.edns > 0 {
			m.SetEdns0(c.edns, false)
		}
		reply, _ := s.handle(mustPack(t, m), client, false)
		r := new(dns.Msg)
		if err := r.Unpack(reply); err != nil {
			t.Fatal(err)
		}
		if r.Truncated != c.cut || !c.cut && len(reply) != c.size || len(reply) > max(512, min(int(c.edns), 1232)) || (r.IsEdns0() != nil) != (c.edns > 0) {
			t.Errorf("%d addresses in %d: %d octets, TC %t, OPT %v", c.n, c.edns, len(reply), r.Truncated, r.IsEdns0())
		}
		if whole := handled(t, s, mustPack(t, m), true); len(whole.Answer) != c.n || whole.Truncated {
			t.Errorf("over TCP: %d of %d", len(whole.Answer), c.n)
		}
	}
}

func TestMessagesBesideQueries(t *testing.T) {
	s := serving(t, lab(1))
	header := func(opcode int, rcode int) dns.MsgHdr {
		return dns.MsgHdr{Id: 7, Response: true, Opcode: opcode, Rcode: rcode}
	}
	for _, c := range []struct {
		about string
		edit  func(m *dns.Msg)
		want  dns.MsgHdr
	}{
		{"STATUS", func(m *dns.Msg) { m.Opcode = dns.OpcodeStatus }, header(2, dns.RcodeNotImplemented)},
		{"an opcode nobody knows", func(m *dns.Msg) { m.Opcode = 14 }, header(14, dns.RcodeNotImplemented)},
		{"UPDATE", func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, header(5, dns.RcodeRefused)},
		{"NOTIFY", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, header(4, dns.RcodeRefused)},
		{"class CH", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, header(0, dns.RcodeRefused)},
		{"class ANY", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }, header(0, dns.RcodeRefused)},
		{"two questions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, header(0, dns.RcodeFormatError)},
		{"a record where questions end", func(m *dns.Msg) { m.Answer = []dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeANY}}} }, header(0, dns.RcodeFormatError)},
		{"two OPT records", func(m *dns.Msg) { m.SetEdns0(1232, false); m.SetEdns0(1232, false) }, header(0, dns.RcodeFormatError)},
		{"EDNS version 1", func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }, header(0, dns.RcodeBadVers)},
	} {
		m := new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA)
		m.Id, m.RecursionDesired = 7, false
		c.edit(m)
		r := handled(t, s, mustPack(t, m), false)
		if d := cmp.Diff(c.want, r.MsgHdr); d != "" || len(r.Answer)+len(r.Ns) > 0 {
			t.Errorf("%s (-want +got):\n%s", c.about, d)
		}
	}
}

// Each packet is one defect away from a query for api.mycluster.lab.test.
func TestMalformedPackets(t *testing.T) {
	s := serving(t, lab(1))
	const name = "03617069" + "096d79636c7573746572" + "036c6162" + "0474657374" + "00"
	const head, one, in = "00070000", "0001", "00010001"
	long := strings.Repeat("3f"+strings.Repeat("61", 63), 4) + "00"
	for _, c := range []struct {
		about, packet string
		want          int // -1: silence
	}{
		{"sound", head + one + "000000000000" + name + in, dns.RcodeSuccess},
		{"shorter than a header", "0007000000010000", -1},
		{"a response", "00078000" + one + "000000000000" + name + in, -1},
		{"header alone", head + one + "000000000000", dns.RcodeFormatError},
		{"no question", head + "0000" + "000000000000", dns.RcodeFormatError},
		{"name cut", head + one + "000000000000" + name[:20], dns.RcodeFormatError},
		{"class cut", head + one + "000000000000" + name + "000100", dns.RcodeFormatError},
		{"octets behind the end", head + one + "000000000000" + name + in + "00", dns.RcodeFormatError},
		{"pointer to itself", head + one + "000000000000" + "c00c" + in, dns.RcodeFormatError},
		{"pointer into the header", head + one + "000000000000" + "c000" + in, dns.RcodeFormatError},
		{"label type 01", head + one + "000000000000" + "4161" + in, dns.RcodeFormatError},
		{"name of 257 octets", head + one + "000000000000" + long + in, dns.RcodeFormatError},
		{"additional promised and missing", head + one + "000000000001" + name + in, dns.RcodeFormatError},
		{"OPT with an owner", head + one + "000000000001" + name + in + "016100" + "0029" + "04d0" + "00000000" + "0000", dns.RcodeFormatError},
		{"OPT length past the end", head + one + "000000000001" + name + in + "00" + "0029" + "04d0" + "00000000" + "0004", dns.RcodeFormatError},
		{"option length past the record", head + one + "000000000001" + name + in + "00" + "0029" + "04d0" + "00000000" + "0004" + "fde90001", dns.RcodeFormatError},
		{"cookie of 7 octets", head + one + "000000000001" + name + in + "00" + "0029" + "04d0" + "00000000" + "000b" + "000a0007" + "01020304050607", dns.RcodeFormatError},
		{"cookie of 12 octets", head + one + "000000000001" + name + in + "00" + "0029" + "04d0" + "00000000" + "0010" + "000a000c" + "010203040506070809101112", dns.RcodeFormatError},
		{"additional name points forward", head + one + "000000000001" + name + in + "c0ff" + "0001" + "0001" + "00000000" + "0000", dns.RcodeFormatError},
		{"additional name points back", head + one + "000000000001" + name + in + "c00c" + "0001" + "0001" + "00000000" + "0000", dns.RcodeSuccess},
	} {
		packet, err := hex.DecodeString(c.packet)
		if err != nil {
			t.Fatalf("%s: %v", c.about, err)
		}
		got := -1
		if reply, _ := s.handle(packet, client, false); reply != nil {
			got = int(reply[3] & 15)
		}
		if got != c.want {
			t.Errorf("%s: rcode %d, want %d", c.about, got, c.want)
		}
	}
	if n := s.Stats().Panics; n != 0 {
		t.Errorf("%d panics: %s", n, s.Stats().LastPanic)
	}
}

func TestSignedQueryWithUnknownKeyIsToldSo(t *testing.T) {
	s := serving(t, lab(1))
	m := new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA)
	m.SetTsig("key.lab.test.", dns.HmacSHA256, 300, 1)
	signed, _, err := dns.TsigGenerate(m, "c2VjcmV0", "", false)
	if err != nil {
		t.Fatal(err)
	}
	r := handled(t, s, signed, false)
	got := r.IsTsig()
	if r.Rcode != dns.RcodeNotAuth || got == nil || got.Error != dns.RcodeBadKey || got.MACSize != 0 || got.Hdr.Name != "key.lab.test." || len(r.Answer) != 0 {
		t.Errorf("%v", r)
	}
	signed[11]++ // one more additional record, and this is it
	behind := append(signed, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1)
	if r := handled(t, s, behind, false); r.Rcode != dns.RcodeFormatError {
		t.Errorf("a record behind the signature:\n%v", r)
	}
}

func TestCookieBindsTheClient(t *testing.T) {
	s := serving(t, lab(1))
	cookie := func(from netip.AddrPort) string {
		m := new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA)
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}}
		reply, _ := s.handle(mustPack(t, m), from, false)
		r := new(dns.Msg)
		if err := r.Unpack(reply); err != nil {
			t.Fatal(err)
		}
		return r.IsEdns0().Option[0].(*dns.EDNS0_COOKIE).Cookie
	}
	a, b := cookie(client), cookie(netip.MustParseAddrPort("192.0.2.202:4242"))
	if !strings.HasPrefix(a, "0102030405060708") || len(a) != 48 || a[32:] == b[32:] {
		t.Errorf("cookies %s and %s", a, b)
	}
}
