package dnsserver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// SOA timers of zones that bring no SOA record: nobody transfers them, so they
// only have to be sane (RFC 1912 2.2).
const (
	soaRefresh = 7200
	soaRetry   = 900
	soaExpire  = 1209600
	maxTTL     = 1<<31 - 1 // RFC 2181 8
)

// compile checks a whole Config and makes its table, without a forwarder. The
// error names every problem.
func compile(c Config) (*table, error) {
	t := &table{zones: map[wireName]*zone{}}
	var problems []error
	for _, a := range c.Listen {
		if !a.IsValid() || a.Addr().IsUnspecified() {
			problems = append(problems, fmt.Errorf("listen address %s: name one address of this host, not all", a))
		}
	}
	for _, z := range c.Zones {
		built, err := compileZone(z)
		problems = append(problems, err)
		if built == nil {
			continue
		}
		if t.zones[built.apex] != nil {
			problems = append(problems, fmt.Errorf("zone %s is given twice", z.Name))
		}
		t.zones[built.apex] = built
	}
	problems = append(problems, t.permit(c))
	var err error
	t.transfer, err = newTransferList(c.Transfer)
	problems = append(problems, err)
	t.limit, err = newLimiter(c.RateLimit)
	problems = append(problems, err)
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	t.prepack()
	return t, nil
}

// permit checks who may forward, and to whom.
func (t *table) permit(c Config) error {
	if c.Forward == nil {
		return nil
	}
	t.stale = time.Duration(c.Forward.Stale) * time.Second
	var problems []error
	if len(c.Forward.Upstreams) == 0 {
		problems = append(problems, errors.New("forward: no upstream"))
	}
	for _, u := range c.Forward.Upstreams {
		if !u.IsValid() || u.Port() == 0 || u.Addr().IsUnspecified() {
			problems = append(problems, fmt.Errorf("forward: upstream %s: write an address and a port", u))
		}
		if slices.ContainsFunc(c.Listen, func(l netip.AddrPort) bool { return sameAddr(l, u) }) {
			problems = append(problems, fmt.Errorf("forward: upstream %s is this server: queries would go round", u))
		}
	}
	for _, p := range c.Forward.Allow {
		if !p.IsValid() {
			problems = append(problems, errors.New("forward: an allowed network is not valid"))
		}
		t.allow = append(t.allow, p.Masked())
	}
	return errors.Join(problems...)
}

func sameAddr(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && a.Addr().Unmap() == b.Addr().Unmap()
}

func compileZone(z Zone) (*zone, error) {
	apex, err := toWire(z.Name)
	if err != nil {
		return nil, fmt.Errorf("zone name: %w", err)
	}
	built := &zone{apex: apex, serial: z.Serial, nodes: map[wireName]*node{}}
	var problems []error
	report := func(err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("zone %s: %w", z.Name, err))
		}
	}
	if _, err := toWire(z.NS); err != nil {
		report(fmt.Errorf("name server: %w", err))
	}
	for _, r := range z.Records {
		report(built.take(z, r))
	}
	if len(problems) == 0 {
		report(built.complete(z))
		for _, err := range built.consistent() {
			report(err)
		}
	}
	if len(problems) == 0 {
		built.seal()
	}
	return built, errors.Join(problems...)
}

// take adds one record of the Config.
func (z *zone) take(in Zone, r Record) error {
	name, rr, err := parseRecord(in, r)
	if err != nil {
		return fmt.Errorf("record %s %s: %w", r.Name, r.Type, err)
	}
	if !name.within(z.apex) {
		return fmt.Errorf("record %s %s: the name is not in the zone", r.Name, r.Type)
	}
	z.add(name, rr)
	return nil
}

// complete adds the SOA and NS records of the apex where the Config has none.
func (z *zone) complete(in Zone) error {
	apex := z.at(z.apex)
	if apex.sets[dns.TypeNS] == nil {
		z.add(z.apex, &dns.NS{Hdr: z.header(in, dns.TypeNS), Ns: in.NS})
	}
	switch soas := apex.sets[dns.TypeSOA]; len(soas) {
	case 0:
		soa, err := repacked(z.authority(in))
		if err == nil {
			z.add(z.apex, soa)
		}
		return err
	case 1:
		return agree(soas[0].(*dns.SOA), in)
	}
	return errors.New("more than one SOA record")
}

func (z *zone) authority(in Zone) *dns.SOA {
	return &dns.SOA{
		Hdr: z.header(in, dns.TypeSOA), Ns: in.NS, Mbox: mailbox(in), Serial: in.Serial,
		Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minttl: min(in.MinTTL, maxTTL),
	}
}

func (z *zone) header(in Zone, rtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: in.Name, Rrtype: rtype, Class: dns.ClassINET, Ttl: min(in.TTL, maxTTL)}
}

// mailbox is hostmaster in the domain of the name server.
func mailbox(in Zone) string {
	labels := dns.SplitDomainName(in.NS)
	if len(labels) < 2 {
		return "hostmaster." + in.Name
	}
	return "hostmaster." + strings.Join(labels[1:], ".") + "."
}

// agree refuses an SOA record that says other than the zone's own fields.
func agree(soa *dns.SOA, in Zone) error {
	if soa.Serial != in.Serial || soa.Minttl != in.MinTTL || mustWire(soa.Ns) != mustWire(in.NS) {
		return fmt.Errorf("the SOA record (%s, serial %d, minimum %d) and the zone (%s, serial %d, min_ttl %d) differ",
			soa.Ns, soa.Serial, soa.Minttl, in.NS, in.Serial, in.MinTTL)
	}
	return nil
}

// consistent finds what is wrong between records.
func (z *zone) consistent() (problems []error) {
	for name, n := range z.nodes {
		switch {
		case n.sets[dns.TypeCNAME] != nil && len(n.sets) > 1:
			problems = append(problems, fmt.Errorf("%s has a CNAME and other records (RFC 1034 3.6.2)", name.text()))
		case len(n.sets[dns.TypeCNAME]) > 1:
			problems = append(problems, fmt.Errorf("%s has more than one CNAME", name.text()))
		case n.sets[dns.TypeSOA] != nil && name != z.apex:
			problems = append(problems, fmt.Errorf("%s has an SOA record and is not the apex", name.text()))
		case n.cut && name[:2] == "\x01*":
			problems = append(problems, fmt.Errorf("%s delegates a wildcard (RFC 4592 4.2)", name.text()))
		}
	}
	slices.SortFunc(problems, byText)
	return problems
}

// succeeds checks the serials of next against what is served now.
func (t *table) succeeds(old *table) error {
	if old == nil {
		return nil
	}
	var problems []error
	for apex, z := range t.zones {
		was := old.zones[apex]
		switch {
		case was == nil:
		case int32(z.serial-was.serial) < 0: // RFC 1982
			problems = append(problems, fmt.Errorf("zone %s: serial %d is older than %d, which is served", apex.text(), z.serial, was.serial))
		case z.serial == was.serial && !slices.Equal(z.content, was.content):
			problems = append(problems, fmt.Errorf("zone %s: the records changed and serial %d did not", apex.text(), z.serial))
		}
	}
	slices.SortFunc(problems, byText)
	return errors.Join(problems...)
}

// byText gives errors found in a map an order.
func byText(a, b error) int { return strings.Compare(a.Error(), b.Error()) }
