package main

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// awaits ADDR:PORT: until somebody accepts connections there, at most 10 s.
func awaits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: awaits ADDR:PORT")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", args[0])
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("nobody at %s: %v", args[0], err)
		case <-tick.C:
		}
	}
}

// systemd hears from us over a datagram socket, by its name or in the abstract
// namespace.
func TestManagerIsTold(t *testing.T) {
	for name, path := range map[string]string{"path": filepath.Join(t.TempDir(), "notify"), "abstract": "@slipway-test-" + t.Name()} {
		t.Run(name, func(t *testing.T) {
			socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
			t.Setenv("NOTIFY_SOCKET", path)
			m, err := findManager()
			if err != nil {
				t.Fatal(err)
			}
			defer m.close()
			m.tell("READY=1")
			b := make([]byte, 100)
			socket.SetReadDeadline(time.Now().Add(5 * time.Second))
			if n, err := socket.Read(b); err != nil || string(b[:n]) != "READY=1" {
				t.Errorf("got %q, %v", b[:n], err)
			}
		})
	}
	t.Setenv("NOTIFY_SOCKET", "")
	m, err := findManager()
	if m != nil || err != nil {
		t.Errorf("a manager without a socket: %v, %v", m, err)
	}
	m.tell("READY=1")
	m.close()
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	if m, err := findManager(); err == nil {
		t.Errorf("a socket that is not there: %v", m)
	}
}
