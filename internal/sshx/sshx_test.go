package sshx

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func TestRun(t *testing.T) {
	signer, _ := key(t)
	address := serve(t, newSigner(t), signer.PublicKey())
	c, err := Dial(t.Context(), target(t, address, signer))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out, err := c.Run(t.Context(), "echo hello")
	if err != nil || out != "you said echo hello" {
		t.Errorf("Run = %q, %v", out, err)
	}
	_, err = c.Run(t.Context(), "fail")
	wantClass(t, err, Exit)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = c.Run(ctx, "hang")
	wantClass(t, err, Dropped)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command past its deadline: %v", err)
	}
}

func TestFailuresAreClassified(t *testing.T) {
	known, _ := key(t)
	stranger := newSigner(t)
	host := newSigner(t)
	tests := []struct {
		name      string
		target    Target
		class     Class
		transient bool
	}{
		{"nothing listens", target(t, closedPort(t), known), Refused, true},
		{"no banner comes", target(t, listen(t, func(c net.Conn) { io.Copy(io.Discard, c) }), known), Stalled, true},
		{"a web server answers", target(t, listen(t, func(c net.Conn) { io.WriteString(c, strings.Repeat("HTTP/1.1 400 ", 999)) }), known), NotSSH, false},
		{"the connection ends in the middle", target(t, listen(t, func(c net.Conn) { io.WriteString(c, "SSH-2.0-x\r\n") }), known), Dropped, true},
		{"the key is not known there", target(t, serve(t, host, known.PublicKey()), stranger), Auth, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Dial(t.Context(), test.target)
			wantClass(t, err, test.class)
			if got := err.(*Error).Transient(); got != test.transient {
				t.Errorf("transient is %v", got)
			}
		})
	}
}

func TestHostKeyIsPinnedPerEntry(t *testing.T) {
	signer, _ := key(t)
	path := filepath.Join(t.TempDir(), "host_keys.json")
	book, err := OpenBook(path)
	if err != nil {
		t.Fatal(err)
	}
	live := target(t, serve(t, newSigner(t), signer.PublicKey()), signer)
	installed := target(t, serve(t, newSigner(t), signer.PublicKey()), signer)
	live.Keys = book.Entry("control-0 live")
	wantLogin(t, live)
	wantLogin(t, live)
	installed.Keys = book.Entry("control-0 installed")
	wantLogin(t, installed)

	again, err := OpenBook(path)
	if err != nil {
		t.Fatal(err)
	}
	installed.Keys = again.Entry("control-0 live")
	_, err = Dial(t.Context(), installed)
	wantClass(t, err, HostKey)
	if text := err.Error(); strings.Count(text, "SHA256:") != 2 {
		t.Errorf("%q does not name both fingerprints", text)
	}
}

func TestCancelEndsADialAtOnce(t *testing.T) {
	signer, _ := key(t)
	silent := target(t, listen(t, func(c net.Conn) { io.Copy(io.Discard, c) }), signer)
	silent.Timeout = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { _, err := Dial(ctx, silent); ended <- err }()
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("logged in")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("still dialling")
	}
}

func TestLoadKeyMakesOneKeyOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "id_ed25519")
	_, first, err := LoadKey(path, "slipway@mycluster.lab.test")
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := LoadKey(path, "slipway@mycluster.lab.test")
	if err != nil || first != second {
		t.Errorf("second key %q, %v; want %q", second, err, first)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, _, _, _, err := ssh.ParseAuthorizedKey([]byte(first)); err != nil {
		t.Errorf("authorized line %q: %v", first, err)
	}
}

func wantLogin(t *testing.T, to Target) {
	t.Helper()
	c, err := Dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func wantClass(t *testing.T, err error, want Class) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Class != want {
		t.Fatalf("error %v, want class %q", err, want)
	}
	if want != Exit && want.Advice() == "" {
		t.Errorf("class %q has no advice", want)
	}
}

func key(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	signer, line, err := LoadKey(filepath.Join(t.TempDir(), "key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	return signer, line
}

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func target(t *testing.T, at netip.AddrPort, signer ssh.Signer) Target {
	t.Helper()
	book, err := OpenBook(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return Target{Address: at, User: "core", Signer: signer, Keys: book.Entry("x"), Timeout: 500 * time.Millisecond}
}

func closedPort(t *testing.T) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

func listen(t *testing.T, talk func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); talk(c) }()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

// serve is an SSH server that answers "echo", fails at "fail", never ends
// "hang", and forwards by the name that is asked for.
func serve(t *testing.T, host ssh.Signer, allowed ssh.PublicKey) netip.AddrPort {
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if string(k.Marshal()) == string(allowed.Marshal()) {
			return nil, nil
		}
		return nil, errors.New("unknown key")
	}}
	config.AddHostKey(host)
	return listen(t, func(c net.Conn) {
		_, channels, requests, err := ssh.NewServerConn(c, config)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		for ch := range channels {
			if ch.ChannelType() == "direct-tcpip" {
				go forwarded(ch)
				continue
			}
			channel, requests, err := ch.Accept()
			if err != nil {
				return
			}
			go session(channel, requests)
		}
	})
}

// forwarded answers as sshd does for a host of each name.
func forwarded(ch ssh.NewChannel) {
	var to struct {
		Host string
		Port uint32
		From string
		Back uint32
	}
	ssh.Unmarshal(ch.ExtraData(), &to)
	switch to.Host {
	case "closed.lab.test":
		ch.Reject(ssh.ConnectionFailed, "Connection refused")
	case "nobody.lab.test":
		ch.Reject(ssh.ConnectionFailed, "Name or service not known")
	case "forbidden.lab.test":
		ch.Reject(ssh.Prohibited, "open failed")
	case "vanishing.lab.test": // the host still tries to connect
	default:
		channel, requests, err := ch.Accept()
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		if to.Host == "echo.lab.test" {
			io.Copy(channel, channel)
			channel.Close()
		}
	}
}

func session(channel ssh.Channel, requests <-chan *ssh.Request) {
	for r := range requests {
		var exec struct{ Command string }
		ssh.Unmarshal(r.Payload, &exec)
		r.Reply(true, nil)
		status := uint32(0)
		switch exec.Command {
		case "hang":
			continue
		case "fail":
			status = 3
		default:
			io.WriteString(channel, "you said "+exec.Command)
		}
		channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
		channel.Close()
	}
}

// What is forgotten is forgotten in the file too, and nothing else is.
func TestForget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host_keys.json")
	book, err := OpenBook(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"services installed", "control-0 installed"} {
		if err := book.put(name, newSigner(t).PublicKey()); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := book.Forget("services installed"); err != nil {
			t.Fatal(err)
		}
	}
	again, err := OpenBook(path)
	if err != nil || again.get("services installed") != nil || again.get("control-0 installed") == nil {
		t.Errorf("the book has %v, %v", again.keys, err)
	}
}
