package dnsserver

import (
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// handle answers one packet: with a reply, with nothing (both nil), or with a
// function that waits for an upstream and has to run elsewhere. packet is not
// used after handle returned. A bug met here costs one query, not the process.
func (s *Server) handle(packet []byte, client netip.AddrPort, tcp bool) (reply []byte, later func() []byte) {
	start := time.Now()
	s.meter.lanes[0].received(tcp)
	q := &query{client: netip.AddrPortFrom(client.Addr().Unmap(), client.Port()), tcp: tcp}
	defer s.guard(q, &reply)
	err := q.parse(packet)
	if err == errSilence {
		s.meter.silent.Add(1)
		return nil, nil
	}
	m, foreign := s.answer(q, err)
	if !foreign {
		return s.finish(q, m, start), nil
	}
	q.packet = nil
	return nil, func() (reply []byte) {
		defer s.guard(q, &reply)
		return s.finish(q, s.forward(q), start)
	}
}

// guard turns a panic into SERVFAIL and keeps where it happened.
func (s *Server) guard(q *query, reply *[]byte) {
	if p := recover(); p != nil {
		s.meter.panicked(p)
		*reply = bare(q, dns.RcodeServerFailure)
	}
}

// answer decides what q deserves; foreign means: ask the forwarder.
func (s *Server) answer(q *query, malformed error) (m *dns.Msg, foreign bool) {
	t := s.table.Load()
	q.table, q.recursion = t, t.allowed(q.client.Addr())
	if rcode, refused := q.objection(malformed); refused {
		return q.response(rcode), false
	}
	f, ours := t.lookup(q.name, q.key, q.qtype)
	if !ours {
		return q.elsewhere(t)
	}
	if f.left != "" && q.mayForward() {
		return nil, true // the alias leads out: forward completes the answer
	}
	return q.found(f), false
}

// objection finds the reason not to look at the tables at all.
func (q *query) objection(malformed error) (rcode int, refused bool) {
	switch {
	case q.opcode == dns.OpcodeUpdate || q.opcode == dns.OpcodeNotify:
		return dns.RcodeRefused, true
	case q.opcode != dns.OpcodeQuery:
		return dns.RcodeNotImplemented, true
	case malformed != nil:
		return dns.RcodeFormatError, true
	case q.edns != nil && q.edns.version != 0:
		return dns.RcodeBadVers, true
	case q.tsig != nil:
		return dns.RcodeNotAuth, true // we hold no keys (RFC 8945 5.2.1)
	case q.qclass != dns.ClassINET:
		return dns.RcodeRefused, true
	}
	return q.objectionToType()
}

func (q *query) objectionToType() (rcode int, refused bool) {
	switch q.qtype {
	case dns.TypeAXFR, dns.TypeIXFR:
		return dns.RcodeRefused, true // nobody transfers from us
	case dns.TypeMAILA, dns.TypeMAILB, dns.TypeTKEY:
		return dns.RcodeNotImplemented, true
	case dns.TypeNone, dns.TypeOPT, dns.TypeTSIG:
		return dns.RcodeFormatError, true // of messages, not of names
	}
	return 0, false
}

// elsewhere is for names in none of our zones.
func (q *query) elsewhere(t *table) (m *dns.Msg, foreign bool) {
	if !q.mayForward() {
		return q.response(dns.RcodeRefused), false // no upward referral (RFC 5358)
	}
	return nil, true
}

// mayForward reports whether the client may and wants to.
func (q *query) mayForward() bool { return q.recursion && q.flags&flagRD != 0 }

// response is an answer without records.
func (q *query) response(rcode int) *dns.Msg {
	m := &dns.Msg{}
	m.Id, m.Response, m.Opcode, m.Rcode = q.id, true, q.opcode, rcode
	m.RecursionDesired = q.flags&flagRD != 0
	m.CheckingDisabled = q.flags&flagCD != 0
	m.RecursionAvailable = q.recursion
	if q.asked {
		m.Question = []dns.Question{{Name: q.name, Qtype: q.qtype, Qclass: q.qclass}}
	}
	return m
}

func (q *query) found(f finding) *dns.Msg {
	m := q.response(f.rcode)
	m.Authoritative = f.authoritative
	m.Answer, m.Ns, m.Extra = f.answer, f.authority, append([]dns.RR{}, f.additional...)
	return m
}

// finish adds EDNS, cuts the answer to the client's size and packs it.
func (s *Server) finish(q *query, m *dns.Msg, start time.Time) []byte {
	if q.edns != nil {
		m.Extra = append(m.Extra, s.opt(q))
	}
	if q.tsig != nil && m.Rcode == dns.RcodeNotAuth {
		m.Extra = append(m.Extra, q.badKey(start))
	}
	s.meter.lanes[0].answered(q.qtype, m.Rcode)
	s.log.add(entry{start, q.client, q.tcp, q.asked, q.qtype, m.Rcode}, []byte(q.key))
	m.Truncate(q.limit())
	m.Compress = true // Truncate clears it where it can
	packed, err := m.Pack()
	if err != nil || len(packed) > q.limit() {
		return bare(q, dns.RcodeServerFailure)
	}
	return q.spelled(packed)
}

// spelled gives the client its own letters back (RFC 4343, RFC 5452): in the
// question, and in every name that is a pointer into it.
func (q *query) spelled(packed []byte) []byte {
	if sent, err := pack(q.sent); q.asked && err == nil {
		copy(packed[headerLen:], sent)
	}
	return packed
}

// badKey is the unsigned TSIG record that says: I do not know this key.
func (q *query) badKey(now time.Time) dns.RR {
	return &dns.TSIG{
		Hdr:       dns.RR_Header{Name: q.tsig.key, Rrtype: dns.TypeTSIG, Class: dns.ClassANY},
		Algorithm: q.tsig.algorithm, TimeSigned: uint64(now.Unix()), Fudge: 300, OrigId: q.id, Error: dns.RcodeBadKey,
	}
}

// bare is a header alone, for when nothing better can be made.
func bare(q *query, rcode int) []byte {
	m := dns.Msg{}
	m.Id, m.Response, m.Opcode, m.Rcode = q.id, true, q.opcode, rcode
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}
