//go:build !linux

package dnsserver

import "time"

// readUDP answers what comes in until the listener stops.
func (l *listener) readUDP(s *Server) {
	packet, out := make([]byte, maxPacket), make([]byte, udpSize)
	r := newReader(l, s)
	for !l.stopping.Load() {
		n, client, err := l.udp.ReadFromUDPAddrPort(packet)
		if err != nil {
			if !l.stopping.Load() {
				s.pause()
			}
			continue
		}
		l.writeUDP(r.turn(packet[:n], client, out, time.Now()), client)
	}
}
