package dnsserver

import (
	"net/netip"
	"time"
)

// maxPacket is the longest query read over UDP. Nobody sends more: we say that
// we take udpSize. What is cut here is malformed.
const maxPacket = 4096

// A reader answers the packets of one socket, one after the other; only what
// has to wait leaves it. How packets get in and out is readUDP's, which each
// system has its own of.
type reader struct {
	l    *listener
	s    *Server
	fast fastPath
}

func newReader(l *listener, s *Server) *reader {
	return &reader{l: l, s: s, fast: fastPath{s: s, count: s.meter.lane()}}
}

// turn returns the reply to packet, which may be in out; nil when there is
// none now.
func (r *reader) turn(packet []byte, client netip.AddrPort, out []byte, at time.Time) []byte {
	if n, done := r.fast.answer(packet, client, out, at); done {
		return out[:n]
	}
	reply, later := r.s.handle(packet, client, false)
	if later != nil {
		r.l.busy.Go(func() { later(func(m []byte) { r.l.writeUDP(m, client) }) })
		return nil
	}
	return reply
}
