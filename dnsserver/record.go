package dnsserver

import (
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// parseRecord reads one record of the Config, with the zone's TTL where it has
// none of its own.
func parseRecord(z Zone, r Record) (wireName, dns.RR, error) {
	name, err := toWire(r.Name)
	if err != nil {
		return "", nil, err
	}
	ttl := r.TTL
	if ttl == 0 {
		ttl = z.TTL
	}
	if ttl > maxTTL {
		return "", nil, fmt.Errorf("TTL %d is over %d", ttl, maxTTL)
	}
	rtype, ok := recordType(r.Type)
	if !ok {
		return "", nil, errors.New("no such type, or not one that can be served")
	}
	rr, err := parseData(z.Name, r, ttl)
	if err != nil {
		return "", nil, err
	}
	if rr.Header().Rrtype != rtype {
		return "", nil, fmt.Errorf("the data %q reads as another record", r.Data)
	}
	rr.Header().Name = r.Name
	rr, err = repacked(rr)
	return name, rr, err
}

// recordType refuses the types that are questions or signalling, those that
// need DNSSEC (we do not sign) and DNAME (we do not synthesize).
func recordType(s string) (uint16, bool) {
	t, ok := dns.StringToType[s]
	if !ok {
		if _, err := fmt.Sscanf(s, "TYPE%d", &t); err != nil || s != fmt.Sprintf("TYPE%d", t) {
			return 0, false
		}
	}
	switch t {
	case dns.TypeNone, dns.TypeOPT, dns.TypeDNAME, dns.TypeSIG, dns.TypeKEY, dns.TypeNXT, dns.TypeRRSIG, dns.TypeNSEC,
		dns.TypeDNSKEY, dns.TypeNSEC3, dns.TypeNSEC3PARAM, dns.TypeCDS, dns.TypeCDNSKEY:
		return 0, false
	}
	return t, t < 128 || t > 255
}

// parseData reads the data of r as a record of the root: one record, no
// directive, no file. The name never meets the parser.
func parseData(origin string, r Record, ttl uint32) (dns.RR, error) {
	if strings.ContainsAny(r.Data, "\r\n") {
		return nil, fmt.Errorf("the data %q has a line break", r.Data)
	}
	line := fmt.Sprintf(". %d IN %s %s\n", ttl, r.Type, r.Data)
	p := dns.NewZoneParser(strings.NewReader(line), origin, "")
	rr, _ := p.Next()
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("the data %q: %s", r.Data, complaint(err))
	}
	if rr == nil {
		return nil, fmt.Errorf("the data %q holds no record", r.Data)
	}
	return rr, nil
}

// complaint is a parser's error without the place in a line that is ours.
func complaint(err error) string {
	text, _, _ := strings.Cut(err.Error(), " at line: ")
	return strings.TrimPrefix(text, "dns: ")
}

// repacked is rr after a journey over the wire: in the one form there is for
// it. It finds what the parser lets pass and the wire does not.
func repacked(rr dns.RR) (dns.RR, error) {
	buf := make([]byte, dns.MaxMsgSize)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, err
	}
	rr, _, err = dns.UnpackRR(buf[:n], 0)
	return rr, err
}
