package dnsserver

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// Whatever arrives: no panic, no answer to a response, the id echoed, a sound
// packet that is not too long.
func FuzzPackets(f *testing.F) {
	m := new(dns.Msg).SetQuestion("x.apps.mycluster.lab.test.", dns.TypeA)
	f.Add(mustPack(f, m))
	m.SetEdns0(1232, true)
	f.Add(mustPack(f, m))
	f.Add([]byte("\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"))
	m = new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA).SetTsig(key, dns.HmacSHA256, 300, time.Now().Unix())
	signed, _, err := dns.TsigGenerate(m, secret, "", false)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	s := serving(f, lab(1), reverse())
	s.secretOf = func(string) string { return secret }
	f.Fuzz(func(t *testing.T, packet []byte) {
		sent := append([]byte{}, packet...)
		reply, later := s.handle(packet, client, false)
		if st := s.Stats(); st.Panics > 0 {
			t.Fatal(st.LastPanic)
		}
		if later != nil {
			t.Fatal("forwarded without a forwarder")
		}
		if q := (&query{}); q.parse(sent) == nil && mustWire(q.name) != q.key {
			t.Fatalf("%s is not %q", q.name, q.key)
		}
		if reply == nil {
			return
		}
		if len(sent) < headerLen || sent[2]&0x80 != 0 {
			t.Fatalf("answered %x", sent)
		}
		r := new(dns.Msg)
		if err := r.Unpack(reply); err != nil || r.Id != be16(sent, 0) || !r.Response || len(reply) > udpSize {
			t.Fatalf("%v: %x to %x", err, reply, sent)
		}
	})
}

// Whatever an upstream sends: no panic, and only what answers the question.
func FuzzUpstreamReplies(f *testing.F) {
	m := new(dns.Msg).SetQuestion("eXample.org.", dns.TypeA)
	m.Id = 7
	good := mustPack(f, says(received{Msg: m}, dns.RcodeSuccess, "example.org. 300 A 198.51.100.7"))
	f.Add(good)
	f.Add(good[:20])
	f.Fuzz(func(t *testing.T, packet []byte) {
		r, err := readReply(m, packet)
		if err != nil {
			return
		}
		if r.Id != 7 || len(r.Question) == 1 && r.Question[0].Name != "example.org." {
			t.Fatalf("took %v", r)
		}
		c := newCache()
		c.put(question{}, newAnswer(r, time.Now()), r)
		newAnswer(r, time.Now()).spelled("EXAMPLE.org.")
	})
}

// A file that parses and is accepted is served whole, also after a journey
// through the services document.
func FuzzZoneFiles(f *testing.F) {
	f.Add("$ORIGIN lab.test.\n$TTL 300\n@ IN SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n*.apps A 192.0.2.2\n")
	f.Add("lab.test. 0 IN SOA . . 1 2 3 4 5\nx.lab.test. TXT \"a\\\"b\" ( c\n d ) ; e\n\\003\\.y.lab.test. 5 IN TYPE65280 \\# 1 00\n")
	f.Fuzz(func(t *testing.T, file string) {
		z, err := ParseZone(strings.NewReader(file), "lab.test.", "f")
		if err != nil || len(z.Records) > 1000 {
			return
		}
		first, err := compile(Config{Zones: []Zone{z}})
		if err != nil {
			return
		}
		for _, r := range z.Records {
			key := mustWire(r.Name)
			if _, ok := first.lookup(r.Name, key, dns.TypeANY); !ok {
				t.Fatalf("%s is not found", r.Name)
			}
		}
		var again Config
		text, err := json.Marshal(Config{Zones: []Zone{z}})
		if err == nil {
			err = json.Unmarshal(text, &again)
		}
		if err != nil {
			t.Fatal(err)
		}
		second, err := compile(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(content(first), content(second)); d != "" {
			t.Fatal(d)
		}
	})
}

func content(t *table) []string {
	var all []string
	for _, z := range t.zones {
		all = append(all, z.content...)
	}
	return all
}

// What Set takes as one record is one record, under the name it was given.
func FuzzRecords(f *testing.F) {
	f.Add("api.lab.test.", "A", "192.0.2.1")
	f.Add("x.lab.test.", "TXT", "\"a\" b ; c")
	f.Add("x.lab.test.", "TXT", "$INCLUDE /etc/passwd")
	f.Add("s.lab.test.", "SVCB", "1 . alpn=h2 ipv4hint=192.0.2.1")
	f.Fuzz(func(t *testing.T, name, rtype, text string) {
		name0, rr, err := parseRecord(Zone{Name: "lab.test."}, Record{Name: name, Type: rtype, Data: text})
		if err != nil {
			return
		}
		if mustWire(rr.Header().Name) != name0 || typeName(rr.Header().Rrtype) != rtype || rr.Header().Class != dns.ClassINET {
			t.Fatalf("%q %q %q became %v", name, rtype, text, rr)
		}
	})
}
