package dnsserver

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/miekg/dns"
)

// A signature is the TSIG record of a query (RFC 8945), and what became of it.
type signature struct {
	key       string // in lower case
	algorithm string
	mac       string // hexadecimal, as the library wants it
	secret    string // base64; empty when the key is not known
	fault     int    // BADKEY, which it is until verified, BADSIG or BADTIME; 0: it is good
}

// fudge is how far clocks may differ, in seconds.
const fudge = 300

func parseTSIG(r record) (*signature, error) {
	end, ok := plainName(r.data, 0)
	if !ok || end+16 > len(r.data) {
		return nil, errFormat
	}
	algorithm, _, err := dns.UnpackDomainName(r.data, 0)
	mac := r.data[end+10:]
	size := int(be16(r.data, end+8))
	if err != nil || size+6 > len(mac) {
		return nil, errFormat
	}
	return &signature{key: mustWire(r.owner).text(), algorithm: algorithm, mac: hex.EncodeToString(mac[:size]), fault: dns.RcodeBadKey}, nil
}

// signed reports whether q came under a signature that is good.
func (q *query) signed() bool { return q.tsig != nil && q.tsig.fault == 0 }

// verify checks the signature of q, if it has one. That of a malformed packet
// is nobody's.
func (s *Server) verify(q *query, malformed error) {
	if malformed != nil {
		q.tsig = nil
	}
	if q.tsig == nil {
		return
	}
	if s.secretOf != nil {
		q.tsig.secret = s.secretOf(q.tsig.key)
	}
	if q.tsig.secret == "" {
		return
	}
	// The library writes into the packet.
	switch err := dns.TsigVerify(bytes.Clone(q.packet), q.tsig.secret, "", false); {
	case err == nil:
		q.tsig.fault = 0
	case errors.Is(err, dns.ErrTime):
		q.tsig.fault = dns.RcodeBadTime
	case errors.Is(err, dns.ErrKeyAlg): // BADKEY, too
	default:
		q.tsig.fault = dns.RcodeBadSig
	}
}

// record is the TSIG record of an answer, yet without its MAC.
func (t *signature) record(q *query, now time.Time) *dns.TSIG {
	r := &dns.TSIG{
		Hdr:       dns.RR_Header{Name: t.key, Rrtype: dns.TypeTSIG, Class: dns.ClassANY},
		Algorithm: t.algorithm, TimeSigned: uint64(now.Unix()), Fudge: fudge, OrigId: q.id, Error: uint16(t.fault),
	}
	if t.fault == dns.RcodeBadTime { // our clock, so that the client can tell by how much (RFC 8945 5.2.3)
		var clock [8]byte
		binary.BigEndian.PutUint64(clock[:], uint64(now.Unix()))
		r.OtherLen, r.OtherData = 6, hex.EncodeToString(clock[2:])
	}
	return r
}

// sealed reports whether the answer is signed: an unknown key or a wrong
// signature gets an unsigned one (RFC 8945 5.3.2).
func (t *signature) sealed() bool { return t.fault == 0 || t.fault == dns.RcodeBadTime }

// sign packs m with the answer's TSIG record. previous is the MAC it follows:
// the query's, or that of the message before in the same transfer.
func (q *query) sign(m *dns.Msg, previous string, first bool, now time.Time) (packed []byte, mac string, err error) {
	m.Extra = append(m.Extra, q.tsig.record(q, now))
	if !q.tsig.sealed() {
		packed, err = m.Pack()
		return packed, "", err
	}
	return dns.TsigGenerate(m, q.tsig.secret, previous, !first)
}

// room is what the TSIG record of an answer needs at most: owner, algorithm,
// fixed part, the longest MAC, other data.
func (t *signature) room() int { return len(t.key) + len(t.algorithm) + 2 + 26 + 64 + 6 }
