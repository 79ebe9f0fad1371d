package dnsserver

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// A fastPath answers the queries that nearly all are, in place of handle and
// with the same octets: from packed answers, without allocating. It belongs to
// one reader. What it does not know for certain it leaves to handle.
type fastPath struct {
	s     *Server
	count *lane
	low   [maxName]byte // the name asked, in lower case
}

// maxName is the longest name in wire form (RFC 1035 2.3.4).
const maxName = 255

// A glance is what the fast path reads of a query.
type glance struct {
	name  int // its length in wire form
	end   int // of the question
	qtype uint16
	limit int
	edns  bool
	do    bool
}

// oneQuestion are the counts of a header: one question, nothing else but
// perhaps one additional record.
const oneQuestion = 1 << 48

// answer writes the answer to packet into out, which has room for udpSize
// octets. done is false for what handle has to look at; 0 octets that are done
// are not to be answered.
func (f *fastPath) answer(packet []byte, client netip.AddrPort, out []byte, at time.Time) (n int, done bool) {
	defer f.rescue(&done)
	g, ok := f.read(packet)
	if !ok {
		return 0, false
	}
	t := f.s.table.Load()
	p, rcode, subject := t.pick(f.low[:g.name], g.qtype)
	if p == nil || g.end+len(p.body)+g.optLen() > g.limit {
		return 0, false
	}
	f.header(packet, out, t.allowed(client.Addr()), rcode)
	n = f.body(p, &g, packet, out, f.judge(t, client, rcode, subject, at))
	f.note(client, g.qtype, g.name, rcode, at)
	return n, true
}

func (f *fastPath) judge(t *table, client netip.AddrPort, rcode int, subject []byte, at time.Time) verdict {
	if t.limit == nil {
		return pass
	}
	return t.limit.judge(client.Addr(), rcode, subject, at)
}

// body writes what follows the header, as far as the client may have it.
func (f *fastPath) body(p *packed, g *glance, packet, out []byte, v verdict) int {
	copy(out[headerLen:], packet[headerLen:g.end])
	switch v {
	case drop:
		f.s.meter.dropped.Add(1)
		return 0
	case cut:
		f.s.meter.slipped.Add(1)
		out[2] |= 0x02 // TC
		return g.putOPT(out, g.end)
	}
	return g.putOPT(out, p.put(out, g.end))
}

// rescue leaves a query that met a bug here to the ordinary path.
func (f *fastPath) rescue(done *bool) {
	if p := recover(); p != nil {
		f.s.meter.panicked(p)
		*done = false
	}
}

// read accepts what is plain: a question of class IN for data, no name with a
// pointer, at most an OPT record without a cookie, nothing behind it.
func (f *fastPath) read(p []byte) (g glance, ok bool) {
	if len(p) < headerLen+5 || p[2]&0xF8 != 0 || binary.BigEndian.Uint64(p[4:])&^1 != oneQuestion {
		return g, false
	}
	g.name = foldName(&f.low, p[headerLen:])
	g.end = headerLen + g.name + 4
	if g.name == 0 || g.end > len(p) || be16(p, g.end-2) != dns.ClassINET {
		return g, false
	}
	g.qtype, g.limit = be16(p, g.end-4), dns.MinMsgSize
	if !plainType(g.qtype) {
		return g, false
	}
	if p[11] == 0 {
		return g, g.end == len(p)
	}
	return g, g.readOPT(p[g.end:])
}

// plainType refuses the types that are no data of a name (RFC 6895 3.1), and
// DS, which the parent zone answers.
func plainType(t uint16) bool {
	return t != dns.TypeNone && t != dns.TypeOPT && t != dns.TypeDS && t < dns.TypeTKEY
}

// readOPT reads the OPT record that must be all of p (RFC 6891 6.1.2). Options
// are not answered, but a cookie is.
func (g *glance) readOPT(p []byte) bool {
	const fixed = 11
	if len(p) < fixed || p[0] != 0 || be16(p, 1) != dns.TypeOPT || p[6] != 0 || int(be16(p, 9)) != len(p)-fixed {
		return false
	}
	g.edns, g.do = true, p[7]&0x80 != 0
	g.limit = min(max(int(be16(p, 3)), dns.MinMsgSize), udpSize)
	for d := p[fixed:]; len(d) > 0; {
		if len(d) < 4 || len(d) < 4+int(be16(d, 2)) || be16(d, 0) == dns.EDNS0COOKIE {
			return false
		}
		d = d[4+int(be16(d, 2)):]
	}
	return true
}

func (g *glance) optLen() int {
	if g.edns {
		return 11
	}
	return 0
}

// putOPT writes our OPT record at out[n:] if the query had one.
func (g *glance) putOPT(out []byte, n int) int {
	if !g.edns {
		return n
	}
	copy(out[n:], "\x00\x00\x29\x00\x00\x00\x00\x00\x00\x00\x00")
	binary.BigEndian.PutUint16(out[n+3:], udpSize)
	if g.do {
		out[n+7] = 0x80
	}
	out[11] = 1
	return n + 11
}

// header writes the first twelve octets; put and putOPT fill the counts in.
func (f *fastPath) header(packet, out []byte, recursion bool, rcode int) {
	copy(out, packet[:6])
	clear(out[6:headerLen])
	out[2] = 0x84 | packet[2]&1 // QR, AA, RD as asked
	out[3] = packet[3]&flagCD | byte(rcode)
	if recursion {
		out[3] |= 0x80
	}
}

// note counts and logs what was answered.
func (f *fastPath) note(client netip.AddrPort, qtype uint16, name, rcode int, at time.Time) {
	f.count.received(false)
	f.count.answered(qtype, rcode)
	client = netip.AddrPortFrom(client.Addr().Unmap(), client.Port())
	f.s.log.add(entry{time: at, client: client, asked: true, qtype: qtype, rcode: rcode}, f.low[:name])
}

// pick finds the answer to a name in lower case: nil when the ordinary path
// has to make it. subject is the closest name there is.
func (t *table) pick(name []byte, qtype uint16) (p *packed, rcode int, subject []byte) {
	s := t.spots[wireName(name)]
	if s == nil {
		for s == nil && name[0] != 0 {
			name = name[1+int(name[0]):]
			s = t.spots[wireName(name)]
		}
		if s == nil || s.slow {
			return nil, 0, nil
		}
		if s.wild == nil {
			return s.empty, dns.RcodeNameError, name
		}
		s = s.wild // s is the closest encloser (RFC 4592 3.3.1)
	}
	if s.slow {
		return nil, 0, nil
	}
	if p, found := s.set(qtype); found {
		return p, dns.RcodeSuccess, name
	}
	return s.empty, dns.RcodeSuccess, name
}

// foldName writes the name at the front of p into low, in lower case, and
// returns its length; 0 when it has a pointer, is cut or is too long.
func foldName(low *[maxName]byte, p []byte) int {
	for i := 0; i < len(p) && i < maxName; {
		n := int(p[i])
		low[i] = p[i]
		i++
		if n == 0 {
			return i
		}
		if n > 63 || i+n >= min(len(p), maxName) {
			return 0
		}
		for end := i + n; i < end; i++ {
			low[i] = lower[p[i]]
		}
	}
	return 0
}

// lower folds the letters A-Z and nothing else (RFC 4343).
var lower = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			t[i] += 'a' - 'A'
		}
	}
	return t
}()
