package update

import (
	"context"
	"fmt"
	"slices"

	"github.com/miekg/dns"
)

// A set names a record set; the name is in lower case.
type set struct {
	name  string
	rtype uint16
}

func setOf(rr dns.RR) set { return set{dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype} }

// contents is what is known of one zone of the server.
type contents struct {
	apex  string
	sets  map[set][]dns.RR
	whole bool            // all of the zone is known
	used  map[string]bool // names known to exist, or not to
}

// add keeps rr, without the class that updates play with.
func (c *contents) add(rr dns.RR) { c.sets[setOf(rr)] = append(c.sets[setOf(rr)], rr) }

// marks are the record sets at name that carry marks, with their owners.
func (c *contents) marks(name string) map[uint16]string {
	found := map[uint16]string{}
	for _, rr := range c.sets[set{name, dns.TypeTXT}] {
		if m, ok := parseMark(rr); ok {
			found[m.rtype] = m.owner
		}
	}
	return found
}

// data are the records of a set, without marks.
func (c *contents) data(s set) []dns.RR {
	return slices.DeleteFunc(slices.Clone(c.sets[s]), func(rr dns.RR) bool {
		_, isMark := parseMark(rr)
		return isMark
	})
}

// locate finds the zone of the server that holds name: of that name, or of a
// parent.
func (s *session) locate(ctx context.Context, name string) (apex string, err error) {
	m := new(dns.Msg).SetQuestion(name, dns.TypeSOA)
	m.RecursionDesired = false
	r, err := s.ask(ctx, m)
	if err != nil {
		return "", err
	}
	for _, rr := range slices.Concat(r.Answer, r.Ns) {
		h := rr.Header()
		if h.Rrtype == dns.TypeSOA && r.Authoritative && dns.IsSubDomain(h.Name, name) {
			return dns.CanonicalName(h.Name), nil
		}
	}
	return "", s.unheld(name, r)
}

// read learns the contents of the zone: all of it when the server hands it
// out, else what there is at the names of look.
func (s *session) read(ctx context.Context, apex string, look map[set][]dns.RR) (*contents, error) {
	c := &contents{apex: apex, sets: map[set][]dns.RR{}, used: map[string]bool{}}
	records, err := s.transfer(ctx, apex)
	switch {
	case ctx.Err() != nil:
		return nil, s.failed(ctx, err)
	case err == nil && len(records) > 1:
		c.whole = true
		for _, rr := range records[:len(records)-1] { // the SOA record is first and last
			c.add(rr)
			c.used[dns.CanonicalName(rr.Header().Name)] = true
		}
		return c, nil
	}
	for _, name := range names(look) {
		if err := s.readName(ctx, c, name, typesAt(look, name)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// readName asks for the marks at name and, where there are any, for the sets
// they are of and those of types.
func (s *session) readName(ctx context.Context, c *contents, name string, types []uint16) error {
	if err := s.readSet(ctx, c, set{name, dns.TypeTXT}); err != nil {
		return err
	}
	marks := c.marks(name)
	if len(marks) == 0 {
		return nil
	}
	for _, rtype := range types {
		marks[rtype] = ""
	}
	delete(marks, dns.TypeTXT)
	for rtype := range marks {
		if err := s.readSet(ctx, c, set{name, rtype}); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) readSet(ctx context.Context, c *contents, want set) error {
	m := new(dns.Msg).SetQuestion(want.name, want.rtype)
	m.RecursionDesired = false
	r, err := s.ask(ctx, m)
	if err != nil {
		return err
	}
	if r.Rcode != dns.RcodeSuccess && r.Rcode != dns.RcodeNameError {
		return fmt.Errorf("DNS server %s answers %s to a question for %s", s.server, dns.RcodeToString[r.Rcode], want.name)
	}
	for _, rr := range r.Answer {
		if setOf(rr) == want {
			c.add(rr)
		}
	}
	return nil
}

// probe asks which of the names exist, by updates that change nothing but
// have a prerequisite (RFC 2136 2.4.4): a query would be answered by a wildcard
// as well. What was read of names that do not exist came from one.
func (s *session) probe(ctx context.Context, c *contents, names []string) error {
	for _, name := range names {
		m := new(dns.Msg).SetUpdate(c.apex)
		m.NameUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: name}}})
		r, err := s.ask(ctx, m)
		if err != nil {
			return err
		}
		switch r.Rcode {
		case dns.RcodeSuccess:
			c.used[name] = true
		case dns.RcodeNameError:
			c.forget(name)
		default:
			return s.explain(c.apex, r.Rcode)
		}
	}
	return nil
}

func (c *contents) forget(name string) {
	for s := range c.sets {
		if s.name == name {
			delete(c.sets, s)
		}
	}
}
