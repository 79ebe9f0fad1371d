package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A patch is a host's only cable, on which one address leads to a listener.
type patch struct{ to map[string]string }

func (p patch) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	at, ok := p.to[address]
	if !ok { // packets vanish
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return new(net.Dialer).DialContext(ctx, network, at)
}

func (patch) Configure([]netip.Prefix, netip.Addr, int) error { return nil }
func (patch) Listen(string, string) (net.Listener, error)     { return nil, errors.ErrUnsupported }
func (patch) Broadcast(int) (net.PacketConn, error)           { return nil, errors.ErrUnsupported }
func (patch) Up() error                                       { return nil }
func (patch) Down() error                                     { return nil }

// forwarder logs in to the sshd of a host that has the cable.
func forwarder(t *testing.T, cable patch) *ssh.Client {
	t.Helper()
	s := testSystem(t)
	s.host.hw.Speed = 1000
	s.net.ports[0].nic.Link = cable
	s.net.resolver.dial, s.net.resolver.timeout = startDNS(t, "192.0.2.210", zoneHandler), dnsTimeout
	key := testSigner(t)
	config := &ssh.ServerConfig{PublicKeyCallback: authorize([]string{string(ssh.MarshalAuthorizedKey(key.PublicKey()))})}
	host := testSigner(t)
	config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.running.Go(func() { s.acceptSSH(l, config) })
	t.Cleanup(func() { l.Close(); s.group.stop() })
	c, err := ssh.Dial("tcp", l.Addr().String(), &ssh.ClientConfig{User: coreUser, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.FixedHostKey(host.PublicKey())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func testSigner(t *testing.T) ssh.Signer {
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

// shout answers everything it was told, in capitals, once the other side has
// ended its half.
func shout(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			said, _ := io.ReadAll(conn)
			io.WriteString(conn, strings.ToUpper(string(said)))
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestSSHForwards(t *testing.T) {
	client := forwarder(t, patch{map[string]string{"192.0.2.210:53": shout(t)}})
	conn, err := client.Dial("tcp", "api.lab.test:53") // a name that the host looks up
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "hello")
	conn.(interface{ CloseWrite() error }).CloseWrite()
	if got, err := io.ReadAll(conn); string(got) != "HELLO" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestSSHForwardingFailsInTheWordsOfSSHD(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	client := forwarder(t, patch{map[string]string{"192.0.2.1:53": closed.Addr().String()}})
	tests := []struct{ name, address, want string }{
		{"nothing listens", "192.0.2.1:53", "ssh: rejected: connect failed (\"Connection refused\")"},
		{"packets vanish", "192.0.2.99:53", "ssh: rejected: connect failed (\"Connection timed out\")"},
		{"no such name", "no.broken.lab.test:53", "ssh: rejected: connect failed (\"Name or service not known\")"},
		{"no route", "[2001:db8::1]:53", "ssh: rejected: connect failed (\"Network is unreachable\")"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := client.Dial("tcp", test.address)
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
	for kind, want := range map[string]ssh.RejectionReason{"direct-tcpip": ssh.ConnectionFailed, "direct-streamlocal@openssh.com": ssh.UnknownChannelType} {
		_, _, err := client.OpenChannel(kind, []byte("garbled"))
		var refused *ssh.OpenChannelError
		if !errors.As(err, &refused) || refused.Reason != want {
			t.Errorf("%s: %v, want %v", kind, err, want)
		}
	}
}
