package dnsserver

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/miekg/dns"
)

// maxFileRecords keeps a $GENERATE line from filling the memory.
const maxFileRecords = 1 << 20

// ParseZone reads a master file (RFC 1035 5) as a Zone that answers the same.
// origin completes relative names until a $ORIGIN; file is for messages only.
// $INCLUDE is refused; a $GENERATE line without a TTL means 3600 s, whatever
// $TTL says. All records keep the TTL of the file, the SOA and NS
// records among them, so that the Zone's own TTL is 0.
func ParseZone(r io.Reader, origin, file string) (Zone, error) {
	p := dns.NewZoneParser(r, origin, file)
	var z Zone
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		if err := z.append(rr); err != nil {
			return Zone{}, fmt.Errorf("%s: %w", file, err)
		}
	}
	if err := p.Err(); err != nil {
		return Zone{}, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), file+": "))
	}
	if z.Name == "" {
		return Zone{}, fmt.Errorf("%s: no SOA record", file)
	}
	return z, nil
}

func (z *Zone) append(rr dns.RR) error {
	rr, err := repacked(rr)
	if err != nil {
		return err
	}
	h := rr.Header()
	if h.Class != dns.ClassINET {
		return fmt.Errorf("%s: class %s is not served", h.Name, dns.Class(h.Class))
	}
	if len(z.Records) == maxFileRecords {
		return fmt.Errorf("more than %d records", maxFileRecords)
	}
	if soa, ok := rr.(*dns.SOA); ok {
		if z.Name != "" {
			return errors.New("more than one SOA record")
		}
		z.Name, z.NS, z.Serial, z.MinTTL = h.Name, soa.Ns, soa.Serial, soa.Minttl
	}
	z.Records = append(z.Records, Record{
		Name: h.Name, Type: typeName(h.Rrtype), TTL: h.Ttl,
		Data: dataText(rr),
	})
	return nil
}

// dataText is the data of rr in presentation form. Records of unknown types
// print a header of their own (RFC 3597 5).
func dataText(rr dns.RR) string {
	if unknown, ok := rr.(*dns.RFC3597); ok {
		return fmt.Sprintf(`\# %d %s`, len(unknown.Rdata)/2, unknown.Rdata)
	}
	return strings.TrimPrefix(rr.String(), rr.Header().String())
}
