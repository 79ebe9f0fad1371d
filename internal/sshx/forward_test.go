package sshx

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func dialTest(t *testing.T) *Client {
	t.Helper()
	signer, _ := key(t)
	c, err := Dial(t.Context(), target(t, serve(t, newSigner(t), signer.PublicKey()), signer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestDialContext(t *testing.T) {
	conn, err := dialTest(t).DialContext(t.Context(), "tcp", "echo.lab.test:53")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
		t.Errorf("read %q, %v", got, err)
	}
}

// The deadlines of x/crypto/ssh's own connections are errors.
func TestForwardedConnectionsCannotHang(t *testing.T) {
	conn, err := dialTest(t).DialContext(t.Context(), "tcp", "silent.lab.test:53")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { _, err := conn.Read(make([]byte, 1)); ended <- err }()
	conn.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("read from a closed connection")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("close does not wake a read")
	}
}

func TestForwardingFailures(t *testing.T) {
	c := dialTest(t)
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	tests := []struct {
		name, address, want string
		ctx                 context.Context
		is                  error
	}{
		{"nothing listens there", "closed.lab.test:53", "dial tcp closed.lab.test:53: connection refused", t.Context(), syscall.ECONNREFUSED},
		{"the host does not know the name", "nobody.lab.test:53", "dial tcp nobody.lab.test:53: name or service not known", t.Context(), nil},
		{"the host is still connecting", "vanishing.lab.test:53", "dial tcp vanishing.lab.test:53: context deadline exceeded", brief, context.DeadlineExceeded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := c.DialContext(test.ctx, "tcp", test.address)
			var failed *net.OpError
			if !errors.As(err, &failed) || err.Error() != test.want || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
	_, err := c.DialContext(t.Context(), "tcp", "forbidden.lab.test:53")
	wantClass(t, err, Forwarding)
	if _, err := c.DialContext(t.Context(), "udp", "echo.lab.test:53"); !errors.Is(err, net.UnknownNetworkError("udp")) {
		t.Errorf("over UDP: %v", err)
	}
	c.Close()
	_, err = c.DialContext(t.Context(), "tcp", "echo.lab.test:53")
	wantClass(t, err, Dropped)
}

func TestEitherKeyIsTheHosts(t *testing.T) {
	first, second, stranger := newSigner(t).PublicKey(), newSigner(t).PublicKey(), newSigner(t).PublicKey()
	tests := []struct {
		name      string
		now, then ssh.PublicKey
		shown     ssh.PublicKey
		ok        bool
	}{
		{"nothing is known", nil, nil, stranger, true},
		{"the key of now", first, nil, first, true},
		{"another key than now", first, nil, stranger, false},
		{"the key of the other system", first, second, second, true},
		{"the key of neither", first, second, stranger, false},
		{"the first use of the installed system", nil, second, stranger, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "host_keys.json")
			book, err := OpenBook(path)
			if err != nil {
				t.Fatal(err)
			}
			for name, k := range map[string]ssh.PublicKey{"w installed": test.now, "w live": test.then} {
				if k != nil {
					book.put(name, k)
				}
			}
			before, _ := os.ReadFile(path)
			err = book.Either("w installed", "w live").Check(test.shown)
			var changed *KeyError
			if (err == nil) != test.ok || err != nil && !errors.As(err, &changed) {
				t.Errorf("check: %v", err)
			}
			if after, _ := os.ReadFile(path); string(before) != string(after) {
				t.Errorf("the book was %s and is %s", before, after)
			}
		})
	}
}
