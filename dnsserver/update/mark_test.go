package update

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestMarksReadBack(t *testing.T) {
	long := strings.Repeat("a123456789.", 22) + "test"
	for _, m := range []mark{{"mycluster.lab.test", dns.TypeA}, {"mycluster.lab.test", dns.TypePTR}, {long, dns.TypeAAAA}} {
		rr := m.record("api.lab.test.", 60)
		packed := make([]byte, dns.MaxMsgSize)
		n, err := dns.PackRR(rr, packed, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		back, _, err := dns.UnpackRR(packed[:n], 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := parseMark(back); !ok || got != m {
			t.Errorf("%v reads back as %v, %v", m, got, ok)
		}
	}
}

func FuzzParseMark(f *testing.F) {
	f.Add("heritage=slipway,owner=mycluster.lab.test,type=A")
	f.Add("heritage=external-dns,external-dns/owner=x")
	f.Add("heritage=slipway,owner=,type=A")
	f.Fuzz(func(t *testing.T, text string) {
		m, ok := parseMark(&dns.TXT{Txt: []string{text}})
		if ok && strings.Join(m.record(".", 0).Txt, "") != text {
			t.Errorf("%q reads as %v", text, m)
		}
	})
}
