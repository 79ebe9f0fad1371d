package sshx

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// DialContext opens a TCP connection from the host to address, as seen from
// there (direct-tcpip, RFC 4254 section 7.2). Unlike those of x/crypto/ssh its
// deadlines work, and Close wakes a blocked read. That the host does not
// connect, before ctx ends, is a [net.OpError], with the error number where the
// host names one; anything else is an [Error], of class [Forwarding] when the
// host forbids it. Every connection ends with the Client.
func (c *Client) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil, net.UnknownNetworkError(network)
	}
	far, err := c.conn.DialContext(ctx, network, address)
	if err != nil {
		return nil, c.whyNot(ctx, network, address, err)
	}
	near, end := net.Pipe()
	go relay(far, end)
	go relay(end, far)
	return near, nil
}

// relay copies one direction; its end is that of the connection.
func relay(to, from net.Conn) {
	io.Copy(to, from)
	to.Close()
	from.Close()
}

func (c *Client) whyNot(ctx context.Context, network, address string, err error) error {
	var open *ssh.OpenChannelError
	refused := errors.As(err, &open)
	switch {
	case refused && open.Reason != ssh.ConnectionFailed:
		return &Error{Forwarding, c.address(), err}
	case refused:
		err = spoken(open.Message)
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	default:
		return c.why(ctx, err)
	}
	return &net.OpError{Op: "dial", Net: network, Addr: farAddr(address), Err: err}
}

// A farAddr is a TCP address as the host reads it.
type farAddr string

func (farAddr) Network() string  { return "tcp" }
func (a farAddr) String() string { return string(a) }

// spoken is the error that the words of the host's C library stand for: sshd
// sends strerror(3) and nothing else.
func spoken(message string) error {
	for _, number := range []syscall.Errno{syscall.ECONNREFUSED, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		if strings.EqualFold(number.Error(), message) {
			return number
		}
	}
	return errors.New(strings.ToLower(message))
}
