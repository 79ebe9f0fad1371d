package update

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func records(t *testing.T, text string) (out []dns.RR) {
	t.Helper()
	p := dns.NewZoneParser(strings.NewReader(text), ".", "")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		out = append(out, rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func newFake(t *testing.T, transfer bool) *fake {
	return &fake{transfer: transfer, zones: map[string][]dns.RR{
		"lab.test.": records(t, foreignRecords), arpa: records(t, foreignReverse),
	}}
}

func TestPush(t *testing.T) {
	for name, transfer := range map[string]bool{"whole zones": true, "single questions": false} {
		t.Run(name, func(t *testing.T) {
			suite(t, transfer, func(t *testing.T) primary { return primary{newFake(t, transfer).serve(t)} })
		})
	}
}
