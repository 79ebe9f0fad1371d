package update

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/dnsserver"
	"github.com/slipway-project/slipway/internal/hint"
)

// rcode answers every update with a code.
func rcode(code int) func(*dns.Msg) *dns.Msg {
	return func(r *dns.Msg) *dns.Msg {
		if r.Opcode != dns.OpcodeUpdate {
			return nil
		}
		m := new(dns.Msg).SetReply(r)
		m.Rcode = code
		return m
	}
}

// badTime answers everything with another time than ours (RFC 8945 5.2.3).
func badTime(r *dns.Msg) *dns.Msg {
	m := notAuth(r, dns.RcodeBadTime)
	m.IsTsig().OtherLen, m.IsTsig().OtherData = 6, "00005e0be100"
	return m
}

func TestRefusalsAreExplained(t *testing.T) {
	tests := []struct {
		name   string
		meddle func(*dns.Msg) *dns.Msg
		err    string // %s is the server
		hint   string
	}{
		{"the key may not", rcode(dns.RcodeRefused), "answers REFUSED to an update of zone lab.test.",
			"let key slipway change the zone: BIND `update-policy { grant slipway zonesub ANY; };`, Knot `acl` with `action: [update, transfer]`, PowerDNS metadata TSIG-ALLOW-DNSUPDATE"},
		{"a secondary", rcode(dns.RcodeNotAuth), "answers NOTAUTH to an update of zone lab.test.",
			"the server is not the primary of the zone, or its rules leave the key out: send updates to the primary; Knot: `acl` with `action: [update, transfer]` for the key"},
		{"no updates at all", rcode(dns.RcodeNotImplemented), "answers NOTIMP to an update of zone lab.test.",
			"the server takes no dynamic updates (PowerDNS: dnsupdate=yes): use `slipway dns export`"},
		{"no journal", rcode(dns.RcodeServerFailure), "answers SERVFAIL to an update of zone lab.test.",
			"look into its log; it must be able to write its journal: BIND beside the zone file, Knot in the database storage"},
		{"the clocks differ", badTime, "its clock and ours differ by more than 300 s (BADTIME): it has 2020-01-01T00:00:00Z", "set both clocks, by NTP or chrony"},
		{"a resolver", func(r *dns.Msg) *dns.Msg {
			m := new(dns.Msg).SetReply(r)
			m.RecursionAvailable = true
			return m
		}, "holds no zone for mycluster.lab.test. (NOERROR): it looks names up elsewhere",
			"add a zone of that name, or of a parent of it, to the server, and let the key update it; it may be empty but for SOA and NS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, true)
			f.meddle = tt.meddle
			p := primary{f.serve(t)}
			_, err := Push(t.Context(), p.target(), cluster()[:1], owner)
			var got string
			if err != nil {
				got = err.Error()
			}
			for _, prefix := range []string{"DNS server " + p.at.String() + ": ", "DNS server " + p.at.String() + " "} {
				if len(got) > len(prefix) && got[:len(prefix)] == prefix {
					got = got[len(prefix):]
				}
			}
			if diff := cmp.Diff([]string{tt.err, tt.hint}, []string{got, hint.Of(err)}); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// An answer is believed only with the key's signature.
func TestUnsignedAnswersAreRefused(t *testing.T) {
	f := newFake(t, true)
	p := primary{f.serve(t)}
	s, err := open(t.Context(), p.target())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	m := new(dns.Msg).SetQuestion("lab.test.", dns.TypeSOA)
	r, err := s.ask(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	r.Extra = nil
	if err := s.verify(m, r, nil); !errors.Is(err, errUnsigned) {
		t.Errorf("error %v", err)
	}
	r.Rcode = dns.RcodeRefused
	if err := s.verify(m, r, nil); err != nil {
		t.Errorf("a refusal needs no signature: %v", err)
	}
}

// A zone that changes between reading and writing is read again.
func TestChangesUnderwayAreSeen(t *testing.T) {
	for name, transfer := range map[string]bool{"whole zones": true, "single questions": false} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, transfer)
			came := false
			f.meddle = func(r *dns.Msg) *dns.Msg {
				if r.Opcode == dns.OpcodeUpdate && !came {
					came = true
					f.zones["lab.test."] = append(f.zones["lab.test."], parsed(t, "api.mycluster.lab.test. 60 IN A 192.0.2.99"))
				}
				return nil
			}
			_, err := Push(t.Context(), primary{f.serve(t)}.target(), cluster()[:1], owner)
			var conflict *ConflictError
			if !errors.As(err, &conflict) || f.updates != 0 {
				t.Errorf("error %v after %d updates", err, f.updates)
			}
		})
	}
}

func TestEndlessChangeIsGivenUp(t *testing.T) {
	f := newFake(t, true)
	f.meddle = rcode(dns.RcodeNXRrset)
	p := primary{f.serve(t)}
	_, err := Push(t.Context(), p.target(), cluster()[:1], owner)
	if want := "zone lab.test. of DNS server " + p.at.String() + " changes while it is being updated"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestPushEndsWithItsContext(t *testing.T) {
	f := newFake(t, true)
	asked, release := make(chan bool), make(chan bool)
	f.meddle = func(*dns.Msg) *dns.Msg {
		asked <- true
		<-release
		return nil
	}
	target := primary{f.serve(t)}.target()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	go func() {
		<-asked
		cancel(why)
	}()
	begun := time.Now()
	if _, err := Push(ctx, target, cluster(), owner); !errors.Is(err, why) || time.Since(begun) > patience/2 {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
	close(release)
}

func TestRecordsThatCannotBePushed(t *testing.T) {
	for want, r := range map[string]dnsserver.Record{
		"record www.mycluster.lab.test. CNAME: a name with a CNAME record has no room for the owner's mark": {Name: "www.mycluster.lab.test.", Type: "CNAME", Data: "api.mycluster.lab.test."},
		"record api.other.test. A: the name is not in zone mycluster.lab.test.":                             {Name: "api.other.test.", Type: "A", Data: "192.0.2.1"},
	} {
		zones := cluster()[:1]
		zones[0].Records = []dnsserver.Record{r}
		if _, err := Push(t.Context(), Target{}, zones, owner); err == nil || err.Error() != want {
			t.Errorf("error %v\nwant  %s", err, want)
		}
	}
}
