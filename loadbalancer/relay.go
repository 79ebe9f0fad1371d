package loadbalancer

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	idleTime = time.Hour              // nothing in either direction: haproxy's timeout tunnel
	finTime  = 10 * time.Second       // the same once one side has ended: client-fin, server-fin
	burst    = 200 * time.Millisecond // how long a direction keeps its pipe of splice(2)
)

// A session is one connection of a client and ours to a server for it.
type session struct {
	client, server *net.TCPConn
	in, out        func(bytes int64) // told what went to the server, to the client

	mu   sync.Mutex    // held while a deadline is made of what follows
	idle time.Duration // without a byte it ends; idleTime as a rule
	last atomic.Int64  // when the last bytes were seen, in Unix nanoseconds
}

// run relays until both directions have ended, one fails, or nothing moves.
func (s *session) run() {
	s.last.Store(time.Now().UnixNano())
	var answer sync.WaitGroup
	answer.Go(func() { s.pump(s.client, s.server, s.out) })
	s.pump(s.server, s.client, s.in)
	answer.Wait()
	s.client.Close()
	s.server.Close()
}

// cut ends s with a reset for both sides. It may be called at any time.
func (s *session) cut() {
	for _, c := range []*net.TCPConn{s.client, s.server} {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}

// pump moves bytes from src to dst. Both are *net.TCPConn, so that ReadFrom is
// splice(2): the bytes stay in the kernel. A splice holds a pipe as long as it
// waits, so that it begins when there is something to move, and ends soon
// after.
func (s *session) pump(dst, src *net.TCPConn, moved func(int64)) {
	for {
		if err := s.readable(src); err != nil {
			s.cut()
			return
		}
		begun := time.Now()
		_ = src.SetReadDeadline(begun.Add(burst))
		_ = dst.SetWriteDeadline(begun.Add(idleTime))
		n, err := dst.ReadFrom(src)
		moved(n)
		if n > 0 {
			s.last.Store(time.Now().UnixNano())
		}
		switch {
		case err == nil:
			s.finish(dst)
			return
		case !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) >= idleTime:
			s.cut() // a write that timed out has lost bytes
			return
		}
	}
}

// finish passes the end of one direction on; the other has less time then.
func (s *session) finish(dst *net.TCPConn) {
	_ = dst.CloseWrite()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last.Store(time.Now().UnixNano())
	s.idle = finTime
	_ = dst.SetReadDeadline(time.Unix(1, 0)) // its waiter looks at the clock again
}

// errIdle is why a session ends in which nothing moves.
var errIdle = errors.New("idle")

// readable waits until src has bytes, or its end, to read.
func (s *session) readable(src *net.TCPConn) error {
	raw, err := src.SyscallConn()
	if err != nil {
		return err
	}
	for {
		end := s.deadline(src)
		var lost error
		err := raw.Read(func(fd uintptr) bool {
			lost = peek(fd)
			return !errors.Is(lost, unix.EAGAIN) && !errors.Is(lost, unix.EINTR)
		})
		if lost != nil && err == nil {
			return lost // a reset is told once
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if time.Now().After(end) && s.deadline(src).Before(time.Now()) {
			return errIdle
		}
	}
}

// deadline makes src stop waiting when the session has been idle too long.
func (s *session) deadline(src *net.TCPConn) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := time.Unix(0, s.last.Load()).Add(s.idle)
	_ = src.SetReadDeadline(end)
	return end
}

// peek looks for a byte or an end without taking it (recv(2), MSG_PEEK).
func peek(fd uintptr) error {
	var b [1]byte
	_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err
}
