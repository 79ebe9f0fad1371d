//go:build unix

package pve

import (
	"net"
	"syscall"
)

// stopListening makes the kernel refuse connections to l, which keeps its
// address and network namespace.
func stopListening(l net.Listener) {
	control(l, func(fd int) { syscall.Shutdown(fd, syscall.SHUT_RD) })
}

// listenAgain undoes stopListening. A port that the kernel had chosen was
// given back and is bound again; others still are, and that error says so.
func listenAgain(l net.Listener) {
	control(l, func(fd int) {
		if at, ok := l.Addr().(*net.TCPAddr); ok {
			syscall.Bind(fd, socketAddress(at))
		}
		syscall.Listen(fd, syscall.SOMAXCONN)
	})
}

func socketAddress(at *net.TCPAddr) syscall.Sockaddr {
	if ip := at.IP.To4(); ip != nil {
		return &syscall.SockaddrInet4{Port: at.Port, Addr: [4]byte(ip)}
	}
	return &syscall.SockaddrInet6{Port: at.Port, Addr: [16]byte(at.IP.To16())}
}

// control does something to the socket of l, if it is one: other listeners
// accept connections that are cut at once.
func control(l net.Listener, do func(fd int)) {
	socket, ok := l.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err == nil {
		raw.Control(func(fd uintptr) { do(int(fd)) })
	}
}
