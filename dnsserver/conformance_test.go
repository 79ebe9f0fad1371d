package dnsserver

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/testbed"
)

// The cases of $SLIPWAY_REFERENCE/data/dns-conformance.json, each asked over
// real sockets. What a case leaves out is not checked.
type conformanceCase struct {
	ID    string
	RFC   string
	Query conformanceQuery
	Want  expectation `json:"expect"`
}

type conformanceQuery struct {
	Name, Type, Class, Transport, Raw string
	Opcode                            any
	Flags                             []string
	EDNS                              *conformanceEDNS
	Queries                           []struct {
		Name, Type string
		Expect     expectation
	}
}

type conformanceEDNS struct {
	Version uint8
	Size    uint16
	DO      bool
	Z       uint16
	Options [][2]any
}

type expectation struct {
	Rcode      any
	NoResponse bool `json:"no_response"`
	AA, TC, RA *bool
	AD         *bool
	Answer     any
	Authority  any
	Additional any
	Prefix     []string `json:"answer_prefix"`
	QnameExact *bool    `json:"qname_exact"`
	OwnerCase  bool     `json:"owner_case"`
	EDNS       any
	MaxSize    int `json:"max_size"`
	MinAnswers int `json:"min_answers"`
	Qdcount    *int
}

func reference(t testing.TB, path string) string {
	t.Helper()
	return testbed.Reference(t, "data", path)
}

func referenceZones(t testing.TB) []Zone {
	t.Helper()
	files, err := filepath.Glob(reference(t, "dns-zones/*.zone"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no zone files: %v", err)
	}
	var zones []Zone
	for _, file := range files {
		zones = append(zones, readZone(t, file))
	}
	return zones
}

func readZone(t testing.TB, file string) Zone {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := ParseZone(f, "", filepath.Base(file))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestConformance(t *testing.T) {
	var cases []conformanceCase
	text, err := os.ReadFile(reference(t, "dns-conformance.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) == 0 {
		t.Fatalf("%d cases: %v", len(cases), err)
	}
	_, addr := started(t, Options{}, Config{Zones: referenceZones(t)})
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			if c.Query.Transport == "tcp-pipeline" {
				pipeline(t, addr, c)
				return
			}
			c.Want.check(t, c.Query, exchange(t, addr, c.Query, c.Query.packet(t)))
			ask(t, "udp", addr, ".", dns.TypeSOA) // the server lives on
		})
	}
}

// pipeline sends all queries in one write and takes the answers in any order.
func pipeline(t *testing.T, addr string, c conformanceCase) {
	conn := dial(t, addr)
	var all []byte
	for i, q := range c.Query.Queries {
		m := new(dns.Msg).SetQuestion(q.Name, dns.StringToType[q.Type])
		m.Id = uint16(i)
		all = append(all, frame(mustPack(t, m))...)
	}
	if _, err := conn.Write(all); err != nil {
		t.Fatal(err)
	}
	missing := map[uint16]bool{}
	for i := range c.Query.Queries {
		missing[uint16(i)] = true
	}
	for range c.Query.Queries {
		packet, err := readFrame(conn)
		if err != nil {
			t.Fatal(err)
		}
		id := be16(packet, 0)
		if !missing[id] {
			t.Fatalf("an answer with id %d", id)
		}
		delete(missing, id)
		q := c.Query.Queries[id]
		q.Expect.check(t, conformanceQuery{Name: q.Name, Type: q.Type}, packet)
	}
}

func mustPack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func (q conformanceQuery) packet(t *testing.T) []byte {
	if q.Raw != "" {
		raw := strings.Replace(strings.ReplaceAll(q.Raw, " ", ""), "....", fmt.Sprintf("%04x", rand.N(65536)), 1)
		b, err := hex.DecodeString(raw)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	m := new(dns.Msg).SetQuestion(q.Name, q.qtype())
	m.RecursionDesired = slices.Contains(q.Flags, "RD")
	m.Question[0].Qclass = q.qclass()
	m.Opcode = q.opcode()
	if q.EDNS != nil {
		m.Extra = append(m.Extra, q.EDNS.record(t))
	}
	return mustPack(t, m)
}

func (q conformanceQuery) qtype() uint16 {
	if n, ok := strings.CutPrefix(q.Type, "TYPE"); ok {
		t, _ := strconv.ParseUint(n, 10, 16)
		return uint16(t)
	}
	return dns.StringToType[q.Type]
}

func (q conformanceQuery) qclass() uint16 {
	if q.Class == "" {
		return dns.ClassINET
	}
	return dns.StringToClass[q.Class]
}

func (q conformanceQuery) opcode() int {
	switch op := q.Opcode.(type) {
	case float64:
		return int(op)
	case string:
		return dns.StringToOpcode[op]
	}
	return dns.OpcodeQuery
}

func (e conformanceEDNS) record(t *testing.T) *dns.OPT {
	o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: e.Size}}
	o.SetVersion(e.Version)
	o.SetZ(e.Z)
	o.SetDo(e.DO)
	for _, option := range e.Options {
		value, err := hex.DecodeString(option[1].(string))
		if err != nil {
			t.Fatal(err)
		}
		o.Option = append(o.Option, &dns.EDNS0_LOCAL{Code: uint16(option[0].(float64)), Data: value})
	}
	return o
}

// exchange returns nil for silence.
func exchange(t *testing.T, addr string, q conformanceQuery, packet []byte) []byte {
	network, _, _ := strings.Cut(q.Transport, "-")
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	patience := 5 * time.Second
	if q.Raw != "" {
		patience = 100 * time.Millisecond // silence is allowed
	}
	c.SetDeadline(time.Now().Add(patience))
	if network == "udp" {
		c.Write(packet)
		buf := make([]byte, dns.MaxMsgSize)
		n, _ := c.Read(buf)
		return buf[:n]
	}
	for _, piece := range pieces(q.Transport, frame(packet)) {
		c.Write(piece)
	}
	r, err := readFrame(c)
	if err != nil {
		return nil
	}
	return r
}

func pieces(transport string, framed []byte) [][]byte {
	switch transport {
	case "tcp-split":
		return slices.Collect(slices.Chunk(framed, 1))
	case "tcp-two-writes":
		return [][]byte{framed[:2], framed[2:]}
	}
	return [][]byte{framed}
}

func (e expectation) check(t *testing.T, q conformanceQuery, packet []byte) {
	t.Helper()
	rcodes := texts(e.Rcode)
	if len(packet) == 0 {
		if !e.NoResponse && !slices.Contains(rcodes, "NONE") {
			t.Error("no response")
		}
		return
	}
	if e.NoResponse {
		t.Fatalf("a response came: %x", packet)
	}
	m := new(dns.Msg)
	if err := m.Unpack(packet); err != nil {
		t.Fatalf("%v: %x", err, packet)
	}
	if got := rcodeName(m.Rcode); len(rcodes) > 0 && !slices.Contains(rcodes, got) {
		t.Errorf("%s, want one of %v", got, rcodes)
	}
	e.checkHeader(t, q, m, len(packet))
	e.checkEDNS(t, q, m.IsEdns0())
	checkSection(t, "answer", e.Answer, m.Answer)
	checkSection(t, "authority", e.Authority, m.Ns)
	checkSection(t, "additional", e.Additional, m.Extra)
}

func (e expectation) checkHeader(t *testing.T, q conformanceQuery, m *dns.Msg, size int) {
	t.Helper()
	flag := func(name string, want *bool, got bool) {
		if want != nil && *want != got {
			t.Errorf("%s is %t", name, got)
		}
	}
	flag("AA", e.AA, m.Authoritative)
	flag("TC", e.TC, m.Truncated)
	flag("RA", e.RA, m.RecursionAvailable)
	flag("AD", e.AD, m.AuthenticatedData)
	if e.MaxSize != 0 && size > e.MaxSize {
		t.Errorf("%d octets, want at most %d", size, e.MaxSize)
	}
	if len(m.Answer) < e.MinAnswers {
		t.Errorf("%d answers, want at least %d", len(m.Answer), e.MinAnswers)
	}
	if q.Raw == "" && (e.QnameExact == nil || *e.QnameExact) {
		want := []dns.Question{{Name: q.Name, Qtype: q.qtype(), Qclass: q.qclass()}}
		if d := cmp.Diff(want, m.Question); d != "" {
			t.Errorf("question (-want +got):\n%s", d)
		}
	}
	for i, want := range e.Prefix {
		if i >= len(m.Answer) || !sameRecord(want, m.Answer[i]) {
			t.Errorf("answer %d is not %s: %v", i, want, m.Answer)
		}
	}
	if e.OwnerCase && m.Answer[0].Header().Name != q.Name {
		t.Errorf("owner is %s", m.Answer[0].Header().Name)
	}
}

func (e expectation) checkEDNS(t *testing.T, q conformanceQuery, got *dns.OPT) {
	t.Helper()
	switch want := e.EDNS.(type) {
	case bool:
		if want != (got != nil) {
			t.Errorf("OPT is %v", got)
		}
	case map[string]any:
		if got == nil {
			t.Fatal("no OPT")
		}
		checkOptions(t, want, q, got)
	}
}

func checkOptions(t *testing.T, want map[string]any, q conformanceQuery, got *dns.OPT) {
	t.Helper()
	if v, ok := want["version"].(float64); ok && got.Version() != uint8(v) {
		t.Errorf("EDNS version %d", got.Version())
	}
	if do, ok := want["do"].(bool); ok && got.Do() != do {
		t.Errorf("DO is %t", got.Do())
	}
	if got.Z() != 0 || got.UDPSize() < 512 {
		t.Errorf("OPT is %v", got)
	}
	for _, o := range got.Option {
		cookie, ok := o.(*dns.EDNS0_COOKIE)
		if !ok {
			t.Errorf("EDNS option %v", o)
			continue
		}
		sent := q.EDNS.Options[0][1].(string)
		if n := len(cookie.Cookie) / 2; !strings.HasPrefix(cookie.Cookie, sent) || n < 16 || n > 40 {
			t.Errorf("cookie %s for %s", cookie.Cookie, sent)
		}
	}
}

func checkSection(t *testing.T, name string, want any, got []dns.RR) {
	t.Helper()
	got = slices.DeleteFunc(slices.Clone(got), func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	switch want := want.(type) {
	case []any:
		missing := slices.DeleteFunc(texts(want), func(w string) bool {
			i := slices.IndexFunc(got, func(rr dns.RR) bool { return sameRecord(w, rr) })
			if i >= 0 {
				got = slices.Delete(got, i, i+1)
			}
			return i >= 0
		})
		if len(missing)+len(got) > 0 {
			t.Errorf("%s lacks %v, has too many %v", name, missing, got)
		}
	case map[string]any:
		for _, w := range texts(want["has"]) {
			if !slices.ContainsFunc(got, func(rr dns.RR) bool { return sameRecord(w, rr) }) {
				t.Errorf("%s lacks %s: %v", name, w, got)
			}
		}
		for _, rr := range got {
			if types := texts(want["types"]); types != nil && !slices.Contains(types, typeName(rr.Header().Rrtype)) {
				t.Errorf("%s holds %v", name, rr)
			}
		}
	}
}

// sameRecord compares "owner TTL TYPE rdata" with rr.
func sameRecord(want string, rr dns.RR) bool {
	f := strings.SplitN(want, " ", 4)
	h := rr.Header()
	ttl := strconv.Itoa(int(h.Ttl))
	return strings.EqualFold(f[0], h.Name) && (f[1] == "*" || f[1] == ttl) && f[2] == typeName(h.Rrtype) &&
		strings.EqualFold(f[3], dataText(rr))
}

// texts reads a JSON string or list of strings.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		out := []string{}
		for _, x := range v {
			out = append(out, x.(string))
		}
		return out
	}
	return nil
}
