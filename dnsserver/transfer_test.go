package dnsserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/testbed"
)

const (
	key    = "secondary.lab.test."
	secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0IQ=="
)

// big is a zone that takes several messages.
func big() Zone {
	z := lab(7)
	for i := range 2000 {
		z.Records = append(z.Records, rec(fmt.Sprintf("node-%d.mycluster.lab.test.", i), "TXT", strings.Repeat("x", 30)))
	}
	return z
}

func transferring(t *testing.T, tr *Transfer) string {
	t.Helper()
	o := Options{Secret: func(name string) string { return map[string]string{key: secret, "other.": secret}[name] }}
	_, addr := started(t, o, Config{Zones: []Zone{big(), reverse()}, Transfer: tr})
	return addr
}

// axfr fetches a zone: its records, and how many messages they came in.
func axfr(addr, zone string, change func(*dns.Transfer, *dns.Msg)) (records []dns.RR, messages int, err error) {
	tr, m := new(dns.Transfer), new(dns.Msg).SetAxfr(zone)
	if change != nil {
		change(tr, m)
	}
	in, err := tr.In(m, addr)
	if err != nil {
		return nil, 0, err
	}
	for e := range in {
		err = errors.Join(err, e.Error)
		records = append(records, e.RR...)
		messages++
	}
	return records, messages, err
}

func signing(name, algorithm, secret string) func(*dns.Transfer, *dns.Msg) {
	return func(tr *dns.Transfer, m *dns.Msg) {
		tr.TsigSecret = map[string]string{name: secret}
		m.SetTsig(name, algorithm, 300, time.Now().Unix())
	}
}

func TestTransferIsTheWholeZone(t *testing.T) {
	z, err := compileZone(big())
	if err != nil {
		t.Fatal(err)
	}
	addr := transferring(t, &Transfer{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Keys: []string{"Secondary.lab.test."}})
	for name, change := range map[string]func(*dns.Transfer, *dns.Msg){
		"unsigned": nil, "signed": signing(key, dns.HmacSHA256, secret), "SHA-512": signing(key, dns.HmacSHA512, secret),
		"IXFR": func(_ *dns.Transfer, m *dns.Msg) { m.SetIxfr(m.Question[0].Name, 1, "ns.", "h.") },
	} {
		got, messages, err := axfr(addr, "MyCluster.lab.test.", change)
		if err != nil || messages < 3 {
			t.Errorf("%s: %d messages, %v", name, messages, err)
			continue
		}
		first, last := got[0], got[len(got)-1]
		if first.Header().Rrtype != dns.TypeSOA || first.String() != last.String() {
			t.Errorf("%s: begins with %v, ends with %v", name, first, last)
		}
		if d := cmp.Diff(z.content, sorted(got[1:])); d != "" {
			t.Errorf("%s: (-zone +transferred):\n%.600s", name, d)
		}
	}
}

// dig is somebody else's reading of the same RFCs.
func TestDigTakesTheTransfer(t *testing.T) {
	dig := testbed.Program(t, "dig")
	addr := netip.MustParseAddrPort(transferring(t, &Transfer{Keys: []string{key}}))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, dig, "@"+addr.Addr().String(), "-p", strconv.Itoa(int(addr.Port())), "-y", "hmac-sha256:"+key+":"+secret,
		"+nocmd", "+nocomments", "+nostats", "mycluster.lab.test.", "AXFR").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got []dns.RR
	for line := range strings.Lines(string(out)) {
		if rr, err := dns.NewRR(line); err == nil && rr != nil && rr.Header().Rrtype != dns.TypeTSIG {
			got = append(got, rr)
		}
	}
	z, err := compileZone(big())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) == 0 || strings.Contains(string(out), "verify") {
		t.Fatalf("%.600s", out)
	}
	if d := cmp.Diff(z.content, sorted(got[1:])); d != "" {
		t.Errorf("(-zone +transferred):\n%.600s", d)
	}
}

// sorted returns records as text.
func sorted(all []dns.RR) (out []string) {
	for _, rr := range all {
		out = append(out, rr.String())
	}
	slices.Sort(out)
	return out
}

func TestTransferIsRefused(t *testing.T) {
	elsewhere := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for _, c := range []struct {
		name   string
		tr     *Transfer
		zone   string
		change func(*dns.Transfer, *dns.Msg)
		want   string
	}{
		{"by default", nil, "mycluster.lab.test.", nil, "bad xfr rcode: 5"},
		{"by default, to a key", nil, "mycluster.lab.test.", signing(key, dns.HmacSHA256, secret), "bad xfr rcode: 5"},
		{"to another network", &Transfer{Allow: elsewhere, Keys: []string{key}}, "mycluster.lab.test.", nil, "bad xfr rcode: 5"},
		{"to another key", &Transfer{Allow: elsewhere, Keys: []string{key}}, "mycluster.lab.test.", signing("other.", dns.HmacSHA256, secret), "bad xfr rcode: 5"},
		{"to an unknown key", &Transfer{Keys: []string{key}}, "mycluster.lab.test.", signing("unknown.", dns.HmacSHA256, secret), "bad authentication"},
		{"to a wrong secret", &Transfer{Keys: []string{key}}, "mycluster.lab.test.", signing(key, dns.HmacSHA256, "d3Jvbmc="), "bad authentication"},
		{"of a name that is no zone", &Transfer{Keys: []string{key}}, "api.mycluster.lab.test.", signing(key, dns.HmacSHA256, secret), "bad authentication"},
	} {
		got, _, err := axfr(transferring(t, c.tr), c.zone, c.change)
		if len(got) > 0 || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d records, %v, want %s", c.name, len(got), err, c.want)
		}
	}
}

func TestTransferIsNotForUDP(t *testing.T) {
	addr := transferring(t, &Transfer{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if r := ask(t, "udp", addr, "mycluster.lab.test.", dns.TypeAXFR); r.Rcode != dns.RcodeRefused {
		t.Errorf("%v", r)
	}
}

// A signed query gets a signed answer, over UDP as well and cut if it must be.
func TestSignedAnswers(t *testing.T) {
	o := Options{Secret: func(name string) string { return map[string]string{key: secret}[name] }}
	many := lab(1)
	for i := range 27 {
		many.Records = append(many.Records, rec("many.mycluster.lab.test.", "A", fmt.Sprintf("192.0.2.%d", i)))
	}
	_, addr := started(t, o, Config{Zones: []Zone{many}})
	for _, c := range []struct {
		name    string
		network string
		records int
		cut     bool
	}{
		{"API.mycluster.lab.test.", "udp", 1, false},
		{"many.mycluster.lab.test.", "udp", 0, true},
		{"many.mycluster.lab.test.", "tcp", 27, false},
	} {
		m := new(dns.Msg).SetQuestion(c.name, dns.TypeA).SetTsig(key, dns.HmacSHA256, 300, time.Now().Unix())
		client := dns.Client{Net: c.network, Timeout: 10 * time.Second, TsigSecret: map[string]string{key: secret}}
		r, _, err := client.Exchange(m, addr) // which verifies
		if err != nil || r.IsTsig() == nil || len(r.Answer) != c.records || r.Truncated != c.cut {
			t.Errorf("%s over %s: %v\n%v", c.name, c.network, err, r)
		}
	}
}

func TestFaultySignatures(t *testing.T) {
	o := Options{Secret: func(name string) string { return map[string]string{key: secret}[name] }}
	_, addr := started(t, o, Config{Zones: []Zone{lab(1)}})
	now := time.Now().Unix()
	for _, c := range []struct {
		name              string
		key, alg, secret  string
		at                int64
		fault             uint16
		signed, otherData bool
	}{
		{"unknown key", "unknown.", dns.HmacSHA256, secret, now, dns.RcodeBadKey, false, false},
		{"wrong secret", key, dns.HmacSHA256, "d3Jvbmc=", now, dns.RcodeBadSig, false, false},
		{"wrong clock", key, dns.HmacSHA256, secret, now - 1000, dns.RcodeBadTime, true, true},
	} {
		m := new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA).SetTsig(c.key, c.alg, 300, c.at)
		packed, _, err := dns.TsigGenerate(m, c.secret, "", false)
		if err != nil {
			t.Fatal(err)
		}
		conn := dialUDP(t, netip.MustParseAddrPort(addr))
		conn.Write(packed)
		reply := make([]byte, 4096)
		n, err := conn.Read(reply)
		r := new(dns.Msg)
		if err != nil || r.Unpack(reply[:n]) != nil || r.Rcode != dns.RcodeNotAuth || r.IsTsig() == nil || len(r.Answer) > 0 {
			t.Errorf("%s: %v\n%v", c.name, err, r)
			continue
		}
		ts := r.IsTsig()
		if ts.Error != c.fault || (ts.MACSize > 0) != c.signed || (ts.OtherLen == 6) != c.otherData {
			t.Errorf("%s: %v", c.name, ts)
		}
	}
}

// The signature of a packet that is malformed behind it signs nothing.
func TestSignatureOfAMalformedPacket(t *testing.T) {
	o := Options{Secret: func(string) string { return secret }}
	s := New(o)
	defer s.Close()
	m := new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA).SetTsig(key, dns.HmacSHA256, 300, time.Now().Unix())
	packed, _, err := dns.TsigGenerate(m, secret, "", false)
	if err != nil {
		t.Fatal(err)
	}
	r := handled(t, s, append(packed, 0), false)
	if r.Rcode != dns.RcodeFormatError || r.IsTsig() != nil {
		t.Errorf("%v", r)
	}
}

// Who does not read what was asked for does not keep the server from ending.
func TestTransferToAClientThatDoesNotRead(t *testing.T) {
	s, addr := started(t, Options{Idle: 50 * time.Millisecond}, Config{Zones: []Zone{big()}, Transfer: &Transfer{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	c := dial(t, addr)
	c.(*net.TCPConn).SetReadBuffer(1 << 10)
	for range 20 {
		c.Write(frame(mustPack(t, new(dns.Msg).SetAxfr("mycluster.lab.test."))))
	}
	within(t, "the transfers began", func() bool { return s.Stats().Transfers > 0 })
	ask(t, "udp", addr, "api.mycluster.lab.test.", dns.TypeA)
}
