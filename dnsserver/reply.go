package dnsserver

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// A send takes one message to the client; nil is no message.
type send func(message []byte)

// handle answers one packet: with a reply, with nothing (both nil), or with a
// function that takes its time and has to run elsewhere. packet is not used
// after handle returned. A bug met here costs one query, not the process.
func (s *Server) handle(packet []byte, client netip.AddrPort, tcp bool) (reply []byte, later func(send)) {
	start := time.Now()
	s.meter.lanes[0].received(tcp)
	q := &query{client: netip.AddrPortFrom(client.Addr().Unmap(), client.Port()), tcp: tcp}
	defer s.guard(q, &reply)
	err := q.parse(packet)
	if err == errSilence {
		s.meter.silent.Add(1)
		return nil, nil
	}
	s.verify(q, err)
	m, work := s.answer(q, err, start)
	if work == nil {
		return s.finish(q, m, start), nil
	}
	q.packet = nil
	return nil, func(send send) {
		var failed []byte
		defer func() { send(failed) }()
		defer s.guard(q, &failed)
		work(send)
	}
}

// guard turns a panic into SERVFAIL and keeps where it happened.
func (s *Server) guard(q *query, reply *[]byte) {
	if p := recover(); p != nil {
		s.meter.panicked(p)
		*reply = bare(q, dns.RcodeServerFailure)
	}
}

// answer decides what q deserves: a message, or work that waits.
func (s *Server) answer(q *query, malformed error, start time.Time) (m *dns.Msg, work func(send)) {
	t := s.table.Load()
	q.table, q.recursion = t, t.allowed(q.client.Addr())
	if rcode, refused := q.objection(malformed); refused {
		return q.response(rcode), nil
	}
	if q.qtype == dns.TypeAXFR || q.qtype == dns.TypeIXFR {
		return s.transfer(q, start)
	}
	f, ours := t.lookup(q.name, q.key, q.qtype)
	switch leads := f.left != ""; {
	case (!ours || leads) && q.mayForward(): // an alias that leads out is completed
		return nil, func(send send) { send(s.finish(q, s.forward(q), start)) }
	case !ours:
		return q.response(dns.RcodeRefused), nil // no upward referral (RFC 5358)
	}
	return q.found(f), nil
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
	case q.tsig != nil && !q.signed():
		return dns.RcodeNotAuth, true // RFC 8945 5.2
	case q.qclass != dns.ClassINET:
		return dns.RcodeRefused, true
	}
	return q.objectionToType()
}

func (q *query) objectionToType() (rcode int, refused bool) {
	switch q.qtype {
	case dns.TypeMAILA, dns.TypeMAILB, dns.TypeTKEY:
		return dns.RcodeNotImplemented, true
	case dns.TypeNone, dns.TypeOPT, dns.TypeTSIG:
		return dns.RcodeFormatError, true // of messages, not of names
	}
	return 0, false
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

// finish adds EDNS, cuts the answer to the client's size and packs it. It
// returns nil when the client had too many.
func (s *Server) finish(q *query, m *dns.Msg, start time.Time) []byte {
	s.meter.lanes[0].answered(q.qtype, m.Rcode)
	s.log.add(q.entry(m.Rcode, start), []byte(q.key))
	if !s.ration(q, m, start) {
		return nil
	}
	if q.edns != nil {
		m.Extra = append(m.Extra, s.opt(q))
	}
	packed, err := q.fit(m)
	if err != nil || len(packed) > q.limit() {
		return bare(q, dns.RcodeServerFailure)
	}
	return packed
}

// fit packs m for the client: no longer than it takes, in its own letters.
func (q *query) fit(m *dns.Msg) ([]byte, error) {
	limit := q.limit()
	if q.tsig != nil {
		limit -= q.tsig.room()
	}
	truncate(m, limit)
	if q.tsig != nil && len(m.Question) == 1 {
		m.Question[0].Name = q.sent // what is signed cannot be respelled
		packed, _, err := q.sign(m, q.tsig.mac, true, time.Now())
		return packed, err
	}
	packed, err := m.Pack()
	return q.spelled(packed), err
}

// truncate cuts m to limit octets; what was cut before stays marked.
func truncate(m *dns.Msg, limit int) {
	before := m.Truncated
	m.Truncate(limit)
	m.Compress = true // Truncate clears both where it can
	m.Truncated = m.Truncated || before
	if m.Len() > limit { // Truncate leaves 512 octets, whatever it is told
		m.Truncated, m.Answer, m.Ns, m.Extra = true, nil, nil, slices.DeleteFunc(m.Extra, notOPT)
	}
}

func notOPT(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeOPT }

func (q *query) entry(rcode int, at time.Time) entry {
	return entry{time: at, client: q.client, tcp: q.tcp, asked: q.asked, qtype: q.qtype, rcode: rcode}
}

// spelled gives the client its own letters back (RFC 4343, RFC 5452): in the
// question, and in every name that is a pointer into it.
func (q *query) spelled(packed []byte) []byte {
	if sent, err := pack(q.sent); q.asked && err == nil && len(packed) > headerLen {
		copy(packed[headerLen:], sent)
	}
	return packed
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
