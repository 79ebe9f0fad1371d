package dnsserver

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many packets one system call takes in or sends out.
const batchSize = 32

// A batch is the memory of recvmmsg(2) and sendmmsg(2), laid out once: a
// packet costs no allocation and a share of two system calls. The poller of
// the runtime still does the waiting.
type batch struct {
	conn syscall.RawConn
	in   [batchSize]mmsghdr
	out  [batchSize]mmsghdr
	n    int // messages of in that were received
	todo []mmsghdr

	errno         syscall.Errno
	receive, send func(fd uintptr) bool

	slots [batchSize]slot
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// A slot is one packet, the reply to it, and whose they are.
type slot struct {
	client unix.RawSockaddrInet6 // the larger of the two kinds
	inVec  unix.Iovec
	outVec unix.Iovec
	packet [maxPacket]byte
	reply  [udpSize]byte
}

func newBatch(conn syscall.RawConn) *batch {
	b := &batch{conn: conn}
	for i := range b.slots {
		s := &b.slots[i]
		s.inVec.Base = &s.packet[0]
		s.inVec.SetLen(len(s.packet))
		for _, m := range []*mmsghdr{&b.in[i], &b.out[i]} {
			m.hdr.Name = (*byte)(unsafe.Pointer(&s.client))
			m.hdr.SetIovlen(1)
		}
		b.in[i].hdr.Iov, b.out[i].hdr.Iov = &s.inVec, &s.outVec
	}
	b.receive, b.send = b.receiveNow, b.sendNow // once: a method value is an allocation
	return b
}

// readUDP answers what comes in until the listener stops.
func (l *listener) readUDP(s *Server) {
	conn, err := l.udp.SyscallConn()
	if err != nil {
		return // closed before it began
	}
	b, r := newBatch(conn), newReader(l, s)
	for !l.stopping.Load() {
		if err := b.wait(); err != nil {
			if !l.stopping.Load() {
				s.pause()
			}
			continue
		}
		b.answer(r, time.Now())
	}
}

// wait returns once packets were received.
func (b *batch) wait() error {
	for i := range b.in {
		b.in[i].hdr.Namelen = unix.SizeofSockaddrInet6
	}
	if err := b.conn.Read(b.receive); err != nil {
		return err
	}
	if b.errno != 0 {
		return b.errno
	}
	return nil
}

// answer takes the packets in turn and sends the replies.
func (b *batch) answer(r *reader, at time.Time) {
	b.todo = b.out[:0]
	for i := range b.in[:b.n] {
		s := &b.slots[i]
		reply := r.turn(s.packet[:b.in[i].len], s.addr(), s.reply[:], at)
		if len(reply) == 0 {
			continue
		}
		s.outVec.Base = &reply[0]
		s.outVec.SetLen(len(reply))
		out := &b.out[len(b.todo)]
		b.todo = b.out[:len(b.todo)+1]
		out.hdr.Name, out.hdr.Namelen = b.in[i].hdr.Name, b.in[i].hdr.Namelen
		out.hdr.Iov = &s.outVec
	}
	for len(b.todo) > 0 && b.conn.Write(b.send) == nil {
	}
}

// receiveNow takes what is there; false has the poller wait for more.
func (b *batch) receiveNow(fd uintptr) bool {
	var n uintptr
	n, b.errno = mmsg(unix.SYS_RECVMMSG, fd, b.in[:])
	b.n = int(n) // meaningless with an error
	return b.errno != unix.EAGAIN
}

// sendNow sends what it can; false has the poller wait for room. A message
// that cannot be sent is skipped: that its client is gone is its own business.
func (b *batch) sendNow(fd uintptr) bool {
	n, errno := mmsg(unix.SYS_SENDMMSG, fd, b.todo)
	switch errno {
	case 0:
		b.todo = b.todo[n:]
	case unix.EAGAIN:
		return false
	default:
		b.todo = b.todo[1:]
	}
	return true
}

// mmsg makes the call without telling the scheduler: it does not block.
func mmsg(trap, fd uintptr, m []mmsghdr) (n uintptr, errno syscall.Errno) {
	for {
		n, _, errno = unix.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return n, errno
		}
	}
}

// addr is the client's address as the net package has it.
func (s *slot) addr() netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&s.client.Port))[:])
	if s.client.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.client))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port)
	}
	a := netip.AddrFrom16(s.client.Addr)
	if s.client.Scope_id != 0 {
		a = a.WithZone(strconv.Itoa(int(s.client.Scope_id)))
	}
	return netip.AddrPortFrom(a, port)
}
