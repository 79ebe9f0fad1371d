package dnsserver

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// transferSize is where one message of a transfer ends: what is beyond cannot
// be pointed at (RFC 5936 3.4).
const transferSize = 16 << 10

// A transferList says who may have whole zones.
type transferList struct {
	allow []netip.Prefix
	keys  []string // in lower case
}

func newTransferList(c *Transfer) (l transferList, err error) {
	if c == nil {
		return l, nil
	}
	var problems []error
	for _, p := range c.Allow {
		if !p.IsValid() {
			problems = append(problems, errors.New("transfer: an allowed network is not valid"))
		}
		l.allow = append(l.allow, p.Masked())
	}
	for _, k := range c.Keys {
		name, err := toWire(k)
		if err != nil {
			problems = append(problems, fmt.Errorf("transfer: key %w", err))
			continue
		}
		l.keys = append(l.keys, name.text())
	}
	return l, errors.Join(problems...)
}

// permits reports whether q may have a zone: by its address, or by its key.
func (l transferList) permits(q *query) bool {
	client := q.client.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(l.allow, func(p netip.Prefix) bool { return p.Contains(client) }) ||
		q.signed() && slices.Contains(l.keys, q.tsig.key)
}

// transfer answers AXFR, and IXFR with all there is (RFC 1995 4).
func (s *Server) transfer(q *query, start time.Time) (m *dns.Msg, work func(send)) {
	if !q.tcp || !q.table.transfer.permits(q) {
		return q.response(dns.RcodeRefused), nil
	}
	z := q.table.zones[q.key]
	if z == nil {
		return q.response(dns.RcodeNotAuth), nil
	}
	return nil, func(send send) { s.stream(q, z, start, send) }
}

// stream sends the records of z, the SOA record first and last, in as many
// messages as it takes (RFC 5936 2.2).
func (s *Server) stream(q *query, z *zone, start time.Time, send send) {
	s.meter.lanes[0].answered(q.qtype, dns.RcodeSuccess)
	s.meter.transfers.Add(1)
	s.log.add(q.entry(dns.RcodeSuccess, start), []byte(q.key))
	first, mac := true, ""
	if q.tsig != nil {
		mac = q.tsig.mac
	}
	for part := range parts(z.all()) {
		m := s.part(q, part, first)
		packed, next, err := q.seal(m, mac, first)
		if err != nil {
			send(bare(q, dns.RcodeServerFailure))
			return
		}
		send(packed)
		first, mac = false, next
	}
}

// part is one message; only the first repeats the question.
func (s *Server) part(q *query, part []dns.RR, first bool) *dns.Msg {
	m := q.response(dns.RcodeSuccess)
	m.Authoritative, m.Compress, m.Answer = true, true, part
	if !first {
		m.Question = nil
		return m
	}
	m.Question[0].Name = q.sent
	if q.edns != nil {
		m.Extra = append(m.Extra, s.opt(q))
	}
	return m
}

// seal packs m, under a signature when the query came with one.
func (q *query) seal(m *dns.Msg, previous string, first bool) ([]byte, string, error) {
	if q.tsig != nil {
		return q.sign(m, previous, first, time.Now())
	}
	packed, err := m.Pack()
	return packed, "", err
}

// all returns the records of z by name and type, between two copies of the SOA record.
func (z *zone) all() []dns.RR {
	soa := z.nodes[z.apex].sets[dns.TypeSOA][0]
	var rest []dns.RR
	for _, n := range z.nodes {
		for qtype, set := range n.sets {
			if qtype != dns.TypeSOA {
				rest = append(rest, set...)
			}
		}
	}
	slices.SortStableFunc(rest, func(a, b dns.RR) int {
		return cmp.Or(strings.Compare(a.Header().Name, b.Header().Name), cmp.Compare(a.Header().Rrtype, b.Header().Rrtype))
	})
	return slices.Concat([]dns.RR{soa}, rest, []dns.RR{soa})
}

// parts cuts records into messages.
func parts(all []dns.RR) func(yield func([]dns.RR) bool) {
	return func(yield func([]dns.RR) bool) {
		from, size := 0, 0
		for i, rr := range all {
			size += dns.Len(rr)
			if size > transferSize && i > from {
				if !yield(all[from:i]) {
					return
				}
				from, size = i, dns.Len(rr)
			}
		}
		yield(all[from:])
	}
}
