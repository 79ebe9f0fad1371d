package sshx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	defaultTimeout = 10 * time.Second
	maxOutput      = 256 << 10
)

// A Target is a host to log in to.
type Target struct {
	Address netip.AddrPort
	User    string
	Signer  ssh.Signer
	Signers []ssh.Signer // further keys to offer
	// Keys decides about the host key; it must not be nil.
	Keys HostKeys
	// Timeout bounds connection and handshake; 0: 10 s.
	Timeout time.Duration
}

// HostKeys decides whether a host is the one it claims to be.
type HostKeys interface {
	// Algorithms lists the host key algorithms to ask for, so that a second
	// key of another type does not look like a changed one; nil: any.
	Algorithms() []string
	// Check returns an error for a key that is not to be trusted.
	Check(key ssh.PublicKey) error
}

// A Client is an SSH connection. Run and DialContext may be called concurrently.
type Client struct{ conn *ssh.Client }

// Dial connects and logs in, or returns an [Error] that says what kind of
// failure it was. It ends when ctx does.
func Dial(ctx context.Context, t Target) (*Client, error) {
	timeout := t.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	raw, err := dialer.DialContext(ctx, "tcp", t.Address.String())
	if err != nil {
		return nil, classify(t, stageDial, err)
	}
	client, err := handshake(ctx, raw, t)
	if err != nil {
		raw.Close()
		return nil, classify(t, stageHandshake, err)
	}
	return client, nil
}

// handshake logs in; the end of ctx moves the connection's deadline into the
// past, which is the only thing that wakes a blocked handshake.
func handshake(ctx context.Context, raw net.Conn, t Target) (*Client, error) {
	deadline, _ := ctx.Deadline()
	if err := raw.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn, channels, requests, err := ssh.NewClientConn(raw, t.Address.String(), &ssh.ClientConfig{
		User:              t.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(t.signers()...)},
		HostKeyAlgorithms: t.Keys.Algorithms(),
		HostKeyCallback:   func(_ string, _ net.Addr, key ssh.PublicKey) error { return t.Keys.Check(key) },
	})
	if err != nil {
		return nil, err
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		conn.Close()
		return nil, err
	}
	return &Client{ssh.NewClient(conn, channels, requests)}, nil
}

func (t Target) signers() []ssh.Signer {
	if t.Signer == nil {
		return t.Signers
	}
	return append([]ssh.Signer{t.Signer}, t.Signers...)
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Run runs a command and returns what it printed, at most 256 KiB. When ctx
// ends first the connection is closed: a stuck session cannot be closed alone.
func (c *Client) Run(ctx context.Context, command string) (string, error) {
	return c.Pipe(ctx, command, nil)
}

// Pipe is Run with something to read for the command; what it complained about
// is in the error.
func (c *Client) Pipe(ctx context.Context, command string, stdin io.Reader) (string, error) {
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer stop()
	session, err := c.conn.NewSession()
	if err != nil {
		return "", c.why(ctx, err)
	}
	defer session.Close()
	var out, complaint limited
	session.Stdin, session.Stdout, session.Stderr = stdin, &out, &complaint
	if err := session.Run(command); err != nil {
		return out.String(), c.why(ctx, complained(err, complaint.String()))
	}
	return out.String(), nil
}

// complained adds the last lines that a command wrote to its standard error.
func complained(err error, text string) error {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := lines[max(0, len(lines)-3):]; last[0] != "" {
		return fmt.Errorf("%w: %s", err, strings.Join(last, "; "))
	}
	return err
}

func (c *Client) why(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return classify(Target{Address: c.address()}, stageRun, err)
}

func (c *Client) address() netip.AddrPort {
	at, _ := netip.ParseAddrPort(c.conn.RemoteAddr().String())
	return at
}

// limited keeps the first maxOutput bytes and drops the rest.
type limited struct{ data []byte }

func (l *limited) Write(p []byte) (int, error) {
	l.data = append(l.data, p[:min(len(p), maxOutput-len(l.data))]...)
	return len(p), nil
}

func (l *limited) String() string { return string(l.data) }

// isTimeout reports whether err came from a deadline.
func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout() || errors.Is(err, context.DeadlineExceeded)
}
