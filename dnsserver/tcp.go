package dnsserver

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// maxPipelined is how many queries of one connection may take their time;
// the next is read when one is answered.
const maxPipelined = 64

// accept takes connections until the socket is closed.
func (l *listener) accept(s *Server) {
	for {
		nc, err := l.tcp.AcceptTCP()
		if err != nil {
			if l.stopping.Load() {
				return
			}
			s.pause()
			continue
		}
		c := &tcpConn{TCPConn: nc, l: l}
		s.conns.add(c)
		l.busy.Go(func() { c.serve(s) })
	}
}

// A tcpConn is one client's connection (RFC 7766).
type tcpConn struct {
	*net.TCPConn
	l      *listener
	active atomic.Int64 // when it last sent a query, Unix nanoseconds
	write  sync.Mutex
	busy   sync.WaitGroup // queries that take their time
}

// serve reads queries until the client is silent, done or wrong. Answers that
// take their time do not hold up those behind them (RFC 7766 6.2.1.1).
func (c *tcpConn) serve(s *Server) {
	defer s.conns.remove(c)
	defer c.Close()
	defer c.busy.Wait()
	client := c.RemoteAddr().(*net.TCPAddr).AddrPort()
	in := bufio.NewReaderSize(c, 4096)
	slots := make(chan struct{}, maxPipelined)
	for {
		packet, err := c.read(in, s.idle)
		if err != nil {
			return
		}
		reply, later := s.handle(packet, client, true)
		if later == nil {
			c.reply(reply, s.idle)
			continue
		}
		slots <- struct{}{}
		c.busy.Go(func() {
			later(func(m []byte) { c.reply(m, s.idle) })
			<-slots
		})
	}
}

// read returns the next message. The whole of it must come before the
// deadline: a client that drips bytes is as idle as one that sends none.
func (c *tcpConn) read(in *bufio.Reader, idle time.Duration) ([]byte, error) {
	c.active.Store(time.Now().UnixNano())
	c.SetReadDeadline(time.Now().Add(idle))
	c.l.haste(c)
	return readFrame(in)
}

// readFrame reads one message behind its length (RFC 1035 4.2.2).
func readFrame(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	packet := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, packet)
	return packet, err
}

// frame puts the length before m; both leave in one write (RFC 7766 8).
func frame(m []byte) []byte {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(m)), uint16(len(m)))
	return append(framed, m...)
}

// haste lets a stopping listener's connections end: whichever of stop and read
// sets the deadline last, it is past.
func (l *listener) haste(c *tcpConn) {
	if l.stopping.Load() {
		c.SetReadDeadline(past)
	}
}

// reply writes one message. A client that does not read loses the connection.
func (c *tcpConn) reply(m []byte, limit time.Duration) {
	if m == nil {
		return
	}
	c.write.Lock()
	defer c.write.Unlock()
	c.SetWriteDeadline(time.Now().Add(limit))
	if _, err := c.Write(frame(m)); err != nil {
		c.Close()
	}
}

// A connSet bounds how many connections there are: the one silent for the
// longest makes room for the next, so that nobody can lock the others out.
type connSet struct {
	mu  sync.Mutex
	all map[*tcpConn]struct{}
	max int
}

func newConnSet(n int) *connSet {
	if n == 0 {
		n = 1024
	}
	return &connSet{all: map[*tcpConn]struct{}{}, max: n}
}

func (s *connSet) add(c *tcpConn) {
	c.active.Store(time.Now().UnixNano())
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= s.max {
		oldest := s.oldest()
		oldest.Close()
		delete(s.all, oldest)
	}
	s.all[c] = struct{}{}
}

func (s *connSet) oldest() (oldest *tcpConn) {
	for c := range s.all {
		if oldest == nil || c.active.Load() < oldest.active.Load() {
			oldest = c
		}
	}
	return oldest
}

func (s *connSet) remove(c *tcpConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, c)
}

// hurry ends the waiting reads of a listener's connections.
func (s *connSet) hurry(l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.all {
		if c.l == l {
			c.SetReadDeadline(past)
		}
	}
}

func (s *connSet) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.all {
		c.Close()
	}
}
