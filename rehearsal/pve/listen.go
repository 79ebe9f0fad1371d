package pve

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Serve answers on l as the first node does, see [Server.ServeNode].
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return s.ServeNode(ctx, l, s.cfg.Nodes[0])
}

// ServeNode answers on l as pveproxy of a node does, until ctx ends, with TLS
// and HTTP/1.1 only, and closes l. Plain HTTP on the same port is redirected.
// It returns the cause of ctx's end, or why l failed. Tasks go on; see
// [Server.Close].
func (s *Server) ServeNode(ctx context.Context, l net.Listener, node string) error {
	h := s.hosts[node]
	if h == nil {
		return fmt.Errorf("node %s does not exist", node)
	}
	if err := s.learnAddress(h, l); err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	gated := &listener{Listener: l, host: h, config: s.serverConfig(h), done: make(chan struct{})}
	h.gate.add(gated)
	err := srv.Serve(gated)
	if errors.Is(err, http.ErrServerClosed) {
		return context.Cause(ctx)
	}
	return err
}

type connKey struct{}

// A listener accepts connections that turn out to be TLS or plain HTTP.
type listener struct {
	net.Listener
	host   *host
	config *tls.Config
	close  sync.Once
	done   chan struct{}
}

// Accept outlives the times in which the gate is shut. An error may be of a
// time that has just ended.
func (l *listener) Accept() (net.Conn, error) {
	for tries := 0; ; {
		c, err := l.Listener.Accept()
		if err == nil {
			accepted := &conn{Conn: c, config: l.config, host: l.host}
			if l.host.gate.admit(accepted) {
				return accepted, nil
			}
			continue
		}
		shut := l.host.gate.waiting()
		switch {
		case shut != nil:
			if !l.wait(shut) {
				return nil, net.ErrClosed
			}
			tries = 0
		case tries < 3 && !errors.Is(err, net.ErrClosed):
			tries++
		default:
			return nil, err
		}
	}
}

// wait reports false when the listener was closed meanwhile.
func (l *listener) wait(open chan struct{}) bool {
	select {
	case <-open:
		return true
	case <-l.done:
		return false
	}
}

func (l *listener) Close() error {
	l.close.Do(func() { close(l.done) })
	l.host.gate.remove(l)
	return l.Listener.Close()
}

// A conn decides at the first byte whether its client speaks TLS, and puts
// the reason phrases of the API into status lines, which net/http cannot.
type conn struct {
	net.Conn // as accepted
	config   *tls.Config
	host     *host
	begin    sync.Once
	inner    atomic.Pointer[stream] // set by the first Read
	reason   atomic.Pointer[string] // for the next status line
}

type stream struct {
	net.Conn
	plain bool
}

const tlsHandshake = 0x16 // record type, RFC 8446 section 5.1

func (c *conn) Read(p []byte) (int, error) {
	c.begin.Do(func() {
		r := bufio.NewReaderSize(c.Conn, 4096)
		first, _ := r.Peek(1) // its error comes again with the Read below
		raw := &peeked{c.Conn, r}
		if len(first) == 1 && first[0] == tlsHandshake {
			c.inner.Store(&stream{tls.Server(raw, c.config), false})
			return
		}
		c.inner.Store(&stream{raw, true})
	})
	return c.inner.Load().Read(p)
}

func (c *conn) Write(p []byte) (int, error) {
	inner := c.inner.Load()
	if inner == nil {
		return 0, net.ErrClosed // nothing was ever read, so nothing is answered
	}
	if reason := c.reason.Swap(nil); reason != nil {
		return c.writeReason(inner, p, *reason)
	}
	return inner.Write(p)
}

// writeReason writes p with another reason phrase; it reports p's length.
func (c *conn) writeReason(w io.Writer, p []byte, reason string) (int, error) {
	line, rest, ok := bytes.Cut(p, []byte("\r\n"))
	fields := strings.SplitN(string(line), " ", 3)
	if !ok || len(fields) != 3 || !strings.HasPrefix(fields[0], "HTTP/1.") {
		return w.Write(p)
	}
	head := fields[0] + " " + fields[1] + " " + reason + "\r\n"
	if _, err := w.Write(append([]byte(head), rest...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *conn) Close() error {
	c.host.gate.forget(c)
	if inner := c.inner.Load(); inner != nil {
		return inner.Close()
	}
	return c.Conn.Close()
}

// peeked reads what was looked at before the rest.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

// setReason chooses the reason phrase of the answer to r, where the server
// runs on its own listener.
func setReason(r *http.Request, reason string) {
	if c, ok := r.Context().Value(connKey{}).(*conn); ok && reason != "" {
		clean := strings.Map(func(r rune) rune {
			if r < ' ' {
				return ' '
			}
			return r
		}, reason)
		c.reason.Store(&clean)
	}
}

// plainHTTP says whether r came in without TLS on our own listener.
func plainHTTP(r *http.Request) bool {
	c, ok := r.Context().Value(connKey{}).(*conn)
	return ok && c.inner.Load().plain
}

// redirect answers a plain HTTP request; the connection ends with it.
func redirect(w http.ResponseWriter, r *http.Request) {
	status := http.StatusMovedPermanently
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		status = http.StatusPermanentRedirect
	}
	w.Header().Set("Location", "https://"+r.Host+r.URL.RequestURI())
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Connection", "close")
	w.WriteHeader(status)
	io.WriteString(w, http.StatusText(status)+"\n")
}
