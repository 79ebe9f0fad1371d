package rehearsal

import (
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// answerTo is a dns.ResponseWriter that keeps the answer.
type answerTo struct {
	dns.ResponseWriter
	msg *dns.Msg
}

func (a *answerTo) WriteMsg(m *dns.Msg) error { a.msg = m; return nil }
func (*answerTo) RemoteAddr() net.Addr        { return nil }

func TestRouterAnswers(t *testing.T) {
	r := &router{names: map[string]netip.Addr{
		"pve.lan": addr("198.51.100.1"), "six.lan": addr("2001:db8::1"),
	}}
	tests := []struct {
		name    string
		ask     string
		kind    uint16
		rcode   int
		answers int
	}{
		{"endpoint", "pve.lan.", dns.TypeA, dns.RcodeSuccess, 1},
		{"endpoint in mixed case", "PVE.lan.", dns.TypeA, dns.RcodeSuccess, 1},
		{"endpoint without that type: NODATA", "pve.lan.", dns.TypeAAAA, dns.RcodeSuccess, 0},
		{"endpoint with IPv6", "six.lan.", dns.TypeAAAA, dns.RcodeSuccess, 1},
		{"a cluster's name: NXDOMAIN", "api.mycluster.lab.test.", dns.TypeA, dns.RcodeNameError, 0},
		{"any other name: NXDOMAIN", "quay.io.", dns.TypeA, dns.RcodeNameError, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q, w := new(dns.Msg), new(answerTo)
			r.ServeDNS(w, q.SetQuestion(tt.ask, tt.kind).SetEdns0(4096, false))
			if w.msg.Rcode != tt.rcode || len(w.msg.Answer) != tt.answers {
				t.Errorf("got %s", w.msg)
			}
			if !w.msg.RecursionAvailable || w.msg.Authoritative || w.msg.IsEdns0() == nil {
				t.Errorf("not a forwarder's answer: %s", w.msg)
			}
			if _, err := w.msg.Pack(); err != nil {
				t.Errorf("pack: %v", err)
			}
		})
	}
}

func TestRouterRefusesWhatIsNoQuestion(t *testing.T) {
	notify, two := new(dns.Msg).SetNotify("lab.test."), new(dns.Msg).SetQuestion("a.", dns.TypeA)
	two.Question = append(two.Question, two.Question[0])
	for rcode, q := range map[int]*dns.Msg{dns.RcodeNotImplemented: notify, dns.RcodeFormatError: two} {
		w := new(answerTo)
		(&router{}).ServeDNS(w, q)
		if w.msg.Rcode != rcode {
			t.Errorf("got %s, want %s", dns.RcodeToString[w.msg.Rcode], dns.RcodeToString[rcode])
		}
	}
}
