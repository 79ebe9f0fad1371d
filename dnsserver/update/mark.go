package update

import (
	"strings"

	"github.com/miekg/dns"
)

const heritage = "heritage=slipway,owner="

// A mark says who made a record set: TXT "heritage=slipway,owner=OWNER,type=A"
// at the set's own name.
type mark struct {
	owner string // full cluster name
	rtype uint16 // of the set
}

// record is the mark at name, with the TTL of what it marks.
func (m mark) record(name string, ttl uint32) *dns.TXT {
	text := heritage + m.owner + ",type=" + dns.Type(m.rtype).String()
	var parts []string
	for ; len(text) > 255; text = text[255:] {
		parts = append(parts, text[:255])
	}
	return &dns.TXT{
		Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: ttl},
		Txt: append(parts, text),
	}
}

// parseMark reads the mark that rr is, if it is one.
func parseMark(rr dns.RR) (mark, bool) {
	txt, ok := rr.(*dns.TXT)
	if !ok {
		return mark{}, false
	}
	rest, ok := strings.CutPrefix(strings.Join(txt.Txt, ""), heritage)
	if !ok {
		return mark{}, false
	}
	owner, kind, ok := strings.Cut(rest, ",type=")
	rtype, known := dns.StringToType[kind]
	return mark{owner, rtype}, ok && known && owner != ""
}
