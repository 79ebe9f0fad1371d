package dnsserver

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// udpSize is what we say we can take, and the most we send over UDP: what
// passes without fragments (RFC 9715).
const udpSize = 1232

// edns is what the OPT record of a query said (RFC 6891).
type edns struct {
	size    uint16
	version uint8
	do      bool
	cookie  []byte // the client's part; nil: none
}

func parseOPT(r record) (*edns, error) {
	e := &edns{size: r.class, version: uint8(r.ttl >> 16), do: r.ttl&0x8000 != 0}
	for d := r.data; len(d) > 0; {
		if len(d) < 4 || len(d) < 4+int(be16(d, 2)) {
			return nil, errFormat
		}
		code, value := be16(d, 0), d[4:4+int(be16(d, 2))]
		d = d[4+len(value):]
		if code != dns.EDNS0COOKIE || e.version != 0 {
			continue // unknown options are no error and not echoed (RFC 6891 6.1.2)
		}
		if n := len(value); n != 8 && (n < 16 || n > 40) {
			return nil, errFormat // RFC 7873 5.2.2
		}
		e.cookie = bytes.Clone(value[:8]) // outlives the packet
	}
	return e, nil
}

// opt is the OPT record of the answer to q: never one that was not asked for.
func (s *Server) opt(q *query) *dns.OPT {
	o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	o.SetUDPSize(udpSize)
	if q.edns.do {
		o.SetDo()
	}
	if q.edns.cookie != nil {
		cookie := serverCookie(s.secret[:], q.edns.cookie, q.client.Addr(), time.Now())
		o.Option = append(o.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(cookie)})
	}
	return o
}

// serverCookie is the client's cookie and ours: laid out as RFC 9018 4 says,
// with a MAC of our own, since no other server shares the secret. No answer
// depends on it; it lets the client tell our packets from forged ones.
func serverCookie(secret, client []byte, addr netip.Addr, now time.Time) []byte {
	c := append([]byte{}, client...)
	c = append(c, 1, 0, 0, 0)
	c = binary.BigEndian.AppendUint32(c, uint32(now.Unix()))
	mac := hmac.New(sha256.New, secret)
	mac.Write(c)
	mac.Write(addr.AsSlice())
	return append(c, mac.Sum(nil)[:8]...)
}
