package export

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/dnsserver"
)

// SOA timers of zones that bring no SOA record, as our own server has them.
const (
	soaRefresh = 7200
	soaRetry   = 900
	soaExpire  = 1209600
)

// A zone is a zone whose records have been read.
type zone struct {
	dnsserver.Zone
	soa  *dns.SOA
	data []dns.RR // all other records, each with its TTL
}

// reverse reports whether the zone's names are addresses.
func (z zone) reverse() bool {
	name := strings.ToLower(z.Name)
	return dns.IsSubDomain("in-addr.arpa.", name) || dns.IsSubDomain("ip6.arpa.", name)
}

// parse has our own server check the zones, then reads their records.
func parse(in []dnsserver.Zone, serial uint32) ([]zone, error) {
	if len(in) == 0 {
		return nil, errNoZones
	}
	server := dnsserver.New(dnsserver.Options{})
	defer server.Close()
	if err := server.Set(dnsserver.Config{Zones: in}); err != nil {
		return nil, err
	}
	zones := make([]zone, len(in))
	var problems []error
	for i, z := range in {
		if serial != 0 {
			z.Serial = serial
		}
		var err error
		zones[i], err = parseZone(z)
		problems = append(problems, err)
	}
	return zones, errors.Join(problems...)
}

func parseZone(in dnsserver.Zone) (zone, error) {
	z := zone{Zone: in}
	problems := []error{plain(in.Name), plain(in.NS)}
	for _, r := range in.Records {
		rr, err := parseRecord(in, r)
		problems = append(problems, err, plain(r.Name))
		if soa, ok := rr.(*dns.SOA); ok {
			z.soa = soa
		} else if err == nil {
			z.data = append(z.data, rr)
		}
	}
	z.complete()
	return z, errors.Join(problems...)
}

// complete adds the records of the apex that there are not, as our own server
// does.
func (z *zone) complete() {
	if !slices.ContainsFunc(z.data, z.serves) {
		z.data = append([]dns.RR{&dns.NS{Hdr: z.header(dns.TypeNS), Ns: z.NS}}, z.data...)
	}
	if z.soa == nil {
		z.soa = &dns.SOA{Hdr: z.header(dns.TypeSOA), Ns: z.NS, Mbox: mailbox(z.Zone), Serial: z.Serial,
			Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minttl: z.MinTTL}
	}
	z.soa.Serial = z.Serial
}

// serves reports whether rr names a server of the zone.
func (z zone) serves(rr dns.RR) bool {
	return rr.Header().Rrtype == dns.TypeNS && dns.CanonicalName(rr.Header().Name) == dns.CanonicalName(z.Name)
}

func (z zone) header(rtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: z.Name, Rrtype: rtype, Class: dns.ClassINET, Ttl: z.TTL}
}

// mailbox is hostmaster in the domain of the name server.
func mailbox(z dnsserver.Zone) string {
	_, domain, ok := strings.Cut(strings.TrimSuffix(z.NS, "."), ".")
	if !ok {
		return "hostmaster." + z.Name
	}
	return "hostmaster." + domain + "."
}

// parseRecord reads the data of r as a record of the root; the name never
// meets the parser.
func parseRecord(z dnsserver.Zone, r dnsserver.Record) (dns.RR, error) {
	ttl := r.TTL
	if ttl == 0 {
		ttl = z.TTL
	}
	line := fmt.Sprintf(". %d IN %s %s\n", ttl, r.Type, r.Data)
	p := dns.NewZoneParser(strings.NewReader(line), z.Name, "")
	rr, ok := p.Next()
	if err := p.Err(); err != nil || !ok {
		return nil, fmt.Errorf("record %s %s: %w", r.Name, r.Type, errors.Join(err, errors.New("no data")))
	}
	rr.Header().Name = r.Name
	return rr, nil
}

// plain refuses names that mean more than a name in some configuration file:
// the formats know no common way to quote one.
func plain(name string) error {
	for _, c := range strings.ToLower(name) {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.*", c) {
			return fmt.Errorf("name %q: %q cannot be exported: write letters, digits, - and _", name, c)
		}
	}
	return nil
}

// relative is an absolute name without its final dot; the root stays a dot.
func relative(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

// wildcard returns the name below which rr stands for all, and whether it does.
func wildcard(rr dns.RR) (parent string, ok bool) {
	return strings.CutPrefix(rr.Header().Name, "*.")
}

// address returns the address of an A or AAAA record.
func address(rr dns.RR) (string, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		return rr.A.String(), true
	case *dns.AAAA:
		return rr.AAAA.String(), true
	}
	return "", false
}

// leftOut warns of a record that the format has no words for. Records of the
// apex that say who serves the zone are no loss.
func (j *job) leftOut(rr dns.RR, format string) {
	h := rr.Header()
	if h.Rrtype == dns.TypeNS {
		return
	}
	j.warn("%s has no place for records of type %s: %s is left out.", format, dns.Type(h.Rrtype), h.Name)
}
