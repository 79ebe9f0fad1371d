package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pipeServer answers each connection with what do does.
func pipeServer(t testing.TB, at string, do func(*net.TCPConn)) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { acceptAll(l, do) })
	t.Cleanup(func() { l.Close(); group.Wait() })
}

// acceptAll does something with each connection until l is closed, and closes it.
func acceptAll(l net.Listener, do func(*net.TCPConn)) {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		group.Go(func() { defer c.Close(); do(c.(*net.TCPConn)) })
	}
}

// rawFront is an Embedded with one server that does something.
func rawFront(t *testing.T, do func(*net.TCPConn)) (*Embedded, *net.TCPConn) {
	t.Helper()
	n := uint16(rand.UintN(1 << 16))
	front, back := netip.AddrPortFrom(loopback(n, 1), 443), netip.AddrPortFrom(loopback(n, 2), 443)
	pipeServer(t, back.String(), do)
	e, err := StartEmbedded(t.Context(), Config{Frontends: []Frontend{{Name: "raw", Bind: front, Check: CheckRouter, Members: []Member{{Name: "a", Address: back}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Stop(context.Background()) })
	c, err := net.Dial("tcp", front.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return e, c.(*net.TCPConn)
}

// A client that has said all still gets its answer; bytes are counted.
func TestEmbeddedPassesHalfCloses(t *testing.T) {
	e, c := rawFront(t, func(c *net.TCPConn) {
		b, _ := io.ReadAll(c)
		c.Write(append(b, '!'))
	})
	const size = 3 << 20
	if _, err := io.WriteString(c, strings.Repeat("x", size)); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil || len(b) != size+1 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	eventually(t, 5*time.Second, func() error {
		st, err := e.Stats(t.Context())
		if err == nil && (st.Frontends[0].In != size || st.Frontends[0].Out != size+1 || st.Frontends[0].Sessions != 0 || st.Servers[0].Total != 1) {
			err = fmt.Errorf("%+v", st)
		}
		return err
	})
}

// A reset of one side is a reset for the other.
func TestEmbeddedPassesResets(t *testing.T) {
	_, c := rawFront(t, func(c *net.TCPConn) {
		c.Read(make([]byte, 1))
		c.SetLinger(0)
	})
	io.WriteString(c, "x")
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
}

// A session in which nothing moves ends, and one direction that moves keeps
// the other.
func TestSessionEndsWhenIdle(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pair := func() (a, b *net.TCPConn) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		d, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c.(*net.TCPConn), d.(*net.TCPConn)
	}
	client, near := pair()
	far, remote := pair()
	defer client.Close()
	defer remote.Close()
	ended := make(chan struct{})
	s := &session{client: near, server: far, in: func(int64) {}, out: func(int64) {}, idle: 600 * time.Millisecond}
	go func() { s.run(); close(ended) }()
	begun := time.Now()
	for range 20 {
		remote.Write([]byte("tick"))
		io.ReadFull(client, make([]byte, 4))
		<-time.After(60 * time.Millisecond)
	}
	select {
	case <-ended:
		t.Errorf("it ended after %s although one side was busy", time.Since(begun))
	default:
	}
	client.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := client.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	<-ended
}
