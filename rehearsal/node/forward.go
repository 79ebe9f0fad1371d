package node

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// connectTimeout is how long Linux tries to connect (tcp_syn_retries = 6).
const connectTimeout = 127 * time.Second

// A forwarding asks for a connection from the host (RFC 4254 section 7.2).
type forwarding struct {
	Host       string
	Port       uint32
	OriginHost string
	OriginPort uint32
}

// sshForward connects a direct-tcpip channel to where it asks for, from the
// host's own network, as sshd does while AllowTcpForwarding has its default.
func (s *system) sshForward(ctx context.Context, offered ssh.NewChannel) {
	var to forwarding
	if ssh.Unmarshal(offered.ExtraData(), &to) != nil || to.Port > 0xffff {
		offered.Reject(ssh.ConnectionFailed, "open failed")
		return
	}
	conn, err := s.connect(ctx, net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))))
	if err != nil {
		offered.Reject(ssh.ConnectionFailed, strerror(err))
		return
	}
	defer conn.Close()
	channel, requests, err := offered.Accept()
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { channel.Close(); conn.Close() })
	defer stop()
	forward(channel, requests, conn)
}

func (s *system) connect(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.host.patience(connectTimeout))
	defer cancel()
	return s.net.dial(ctx, "tcp", address)
}

// forward copies until both sides have said all; each end is passed on alone.
func forward(channel ssh.Channel, requests <-chan *ssh.Request, conn net.Conn) {
	var copies sync.WaitGroup
	defer copies.Wait()
	defer channel.Close()
	copies.Go(func() { ssh.DiscardRequests(requests); conn.Close() })
	var directions sync.WaitGroup
	directions.Go(func() { pass(conn, channel) })
	directions.Go(func() { pass(channel, conn) })
	directions.Wait()
}

func pass(to io.Writer, from io.Reader) {
	io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}

// strerror is what the C library calls the reason, which is all that sshd says.
func strerror(err error) string {
	var number syscall.Errno
	switch {
	case errors.Is(err, errNoName):
		return "Name or service not known"
	case errors.Is(err, context.DeadlineExceeded):
		return "Connection timed out"
	case errors.As(err, &number):
		text := number.Error() // in lower case; the C library begins with a capital
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return "open failed"
}
