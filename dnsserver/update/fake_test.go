package update

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// A fake is a primary server of a few zones that takes updates (RFC 2136 3)
// from whoever has the key, and can be told to answer otherwise.
type fake struct {
	mu       sync.Mutex
	zones    map[string][]dns.RR
	transfer bool
	updates  int // that changed something
	// meddle, when set, answers in the server's place, or returns nil.
	meddle func(r *dns.Msg) *dns.Msg
}

const testSecret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0IQ=="

// serve starts the server, which ends with the test.
func (f *fake) serve(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: l, Handler: f, TsigSecret: map[string]string{"slipway.": testSecret},
		MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }}
	done := make(chan error)
	go func() { done <- s.ActivateAndServe() }()
	t.Cleanup(func() {
		_ = s.Shutdown()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

func (f *fake) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var m *dns.Msg
	if f.meddle != nil {
		m = f.meddle(r)
	}
	if m == nil {
		m = f.answer(w, r)
	}
	if tsig := r.IsTsig(); tsig != nil && m.IsTsig() == nil && w.TsigStatus() == nil {
		m.SetTsig(tsig.Hdr.Name, tsig.Algorithm, 300, int64(tsig.TimeSigned))
	}
	_ = w.WriteMsg(m)
}

func (f *fake) answer(w dns.ResponseWriter, r *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(r)
	zone := f.holding(r.Question[0].Name)
	switch {
	case errors.Is(w.TsigStatus(), dns.ErrSig):
		m = notAuth(r, dns.RcodeBadSig)
	case w.TsigStatus() != nil:
		m = notAuth(r, dns.RcodeBadKey)
	case r.IsTsig() == nil || zone == "":
		m.Rcode = dns.RcodeRefused
	case r.Opcode == dns.OpcodeUpdate:
		m.Rcode = f.update(zone, r)
	case r.Question[0].Qtype == dns.TypeAXFR && !f.transfer:
		m.Rcode = dns.RcodeRefused
	case r.Question[0].Qtype == dns.TypeAXFR:
		m.Answer = append(slices.Clone(f.zones[zone]), f.zones[zone][0])
	default:
		f.query(m, zone)
	}
	return m
}

// notAuth is the answer to a signature with a fault (RFC 8945 5.2).
func notAuth(r *dns.Msg, fault uint16) *dns.Msg {
	m := new(dns.Msg).SetReply(r)
	m.Rcode = dns.RcodeNotAuth
	tsig := r.IsTsig()
	m.SetTsig(tsig.Hdr.Name, tsig.Algorithm, 300, int64(tsig.TimeSigned))
	m.IsTsig().Error = fault
	return m
}

// holding is the zone with the longest name that holds name.
func (f *fake) holding(name string) (found string) {
	for zone := range f.zones {
		if dns.IsSubDomain(zone, strings.ToLower(name)) && len(zone) > len(found) {
			found = zone
		}
	}
	return found
}

func (f *fake) query(m *dns.Msg, zone string) {
	m.Authoritative = true
	q := m.Question[0]
	m.Answer = f.find(zone, q.Name, q.Qtype)
	if parent := strings.SplitN(q.Name, ".", 2)[1]; len(m.Answer) == 0 && len(f.find(zone, q.Name, dns.TypeANY)) == 0 {
		for _, rr := range f.find(zone, "*."+parent, q.Qtype) { // one label is enough here
			rr = dns.Copy(rr)
			rr.Header().Name = q.Name
			m.Answer = append(m.Answer, rr)
		}
	}
	if len(m.Answer) == 0 {
		m.Ns = f.zones[zone][:1]
	}
}

func (f *fake) find(zone, name string, rtype uint16) (out []dns.RR) {
	for _, rr := range f.zones[zone] {
		h := rr.Header()
		if strings.EqualFold(h.Name, name) && (rtype == dns.TypeANY || h.Rrtype == rtype) {
			out = append(out, rr)
		}
	}
	return out
}

func (f *fake) update(zone string, r *dns.Msg) int {
	values := map[set][]dns.RR{}
	for _, rr := range r.Answer {
		h := rr.Header()
		found := len(f.find(zone, h.Name, h.Rrtype)) > 0
		switch {
		case h.Class == dns.ClassANY && !found:
			return dns.RcodeNameError
		case h.Class == dns.ClassNONE && found && h.Rrtype == dns.TypeANY:
			return dns.RcodeYXDomain
		case h.Class == dns.ClassNONE && found:
			return dns.RcodeYXRrset
		case h.Class == dns.ClassINET:
			values[setOf(rr)] = append(values[setOf(rr)], rr)
		}
	}
	for s, want := range values {
		if !slices.Equal(data(want), data(f.find(zone, s.name, s.rtype))) {
			return dns.RcodeNXRrset
		}
	}
	for _, rr := range r.Ns {
		f.apply(zone, rr)
	}
	if len(r.Ns) > 0 {
		f.updates++
	}
	return dns.RcodeSuccess
}

func (f *fake) apply(zone string, rr dns.RR) {
	f.zones[zone] = slices.DeleteFunc(f.zones[zone], func(have dns.RR) bool {
		return setOf(have) == setOf(rr) && slices.Equal(data([]dns.RR{have}), data([]dns.RR{rr}))
	})
	if rr.Header().Class == dns.ClassINET {
		f.zones[zone] = append(f.zones[zone], rr)
	}
}

// data are the records without what updates change about them.
func data(in []dns.RR) (out []string) {
	for _, rr := range in {
		out = append(out, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(out)
	return out
}
