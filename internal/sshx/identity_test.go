package sshx

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/slipway-project/slipway/internal/hint"
)

func writeKey(t *testing.T, path, passphrase string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = os.WriteFile(path, pem.EncodeToMemory(block), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// startAgent serves an agent with n keys on a socket.
func startAgent(t *testing.T, n int) string {
	t.Helper()
	keys := agent.NewKeyring()
	for range n {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err == nil {
			err = keys.Add(agent.AddedKey{PrivateKey: private})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = agent.ServeAgent(keys, conn)
			conn.Close()
		}
	}()
	return path
}

func TestIdentities(t *testing.T) {
	home, empty := t.TempDir(), t.TempDir()
	writeKey(t, filepath.Join(home, ".ssh", "id_ed25519"), "")
	writeKey(t, filepath.Join(home, "locked"), "secret")
	for _, tt := range []struct {
		name, path, socket, home string
		want                     int
		err                      string
	}{
		{"a file that is named", filepath.Join(home, ".ssh", "id_ed25519"), startAgent(t, 1), home, 1, ""},
		{"the usual file", "", "", home, 1, ""},
		{"the agent and the usual file", "", startAgent(t, 1), home, 2, ""},
		{"no more than three keys", "", startAgent(t, 5), home, 3, ""},
		{"an agent that is gone", "", filepath.Join(home, "gone"), home, 1, ""},
		{"nothing at all", "", "", empty, 0, "there is no SSH key to log in with"},
		{"a file that is missing", filepath.Join(home, "none"), "", home, 0, "there is no SSH key to log in with: " + filepath.Join(home, "none") + " does not exist"},
		{"a file with a passphrase", filepath.Join(home, "locked"), "", home, 0, "SSH key " + filepath.Join(home, "locked") + " has a passphrase"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			signers, end, err := Identities(tt.path, tt.socket, tt.home)
			defer end()
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil || len(signers) != tt.want {
				t.Errorf("%d keys, %v", len(signers), err)
			}
		})
	}
	if _, _, err := Identities(filepath.Join(home, "locked"), "", home); hint.Of(err) == "" {
		t.Error("no way out is given")
	}
}

func TestKnown(t *testing.T) {
	signer, _ := key(t)
	host, other := newSigner(t), newSigner(t)
	at := serve(t, host, signer.PublicKey())
	file := filepath.Join(t.TempDir(), "known_hosts")
	know := func(key ssh.PublicKey) HostKeys {
		t.Helper()
		line := ""
		if key != nil {
			line = knownhosts.Line([]string{knownhosts.Normalize("services.lab.test:" + at.String()[len("127.0.0.1:"):])}, key)
		}
		if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := Known("services.lab.test", at, filepath.Join(t.TempDir(), "absent"), file)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	to := target(t, at, signer)
	to.Keys = know(host.PublicKey())
	if got := to.Keys.Algorithms(); len(got) != 1 || got[0] != ssh.KeyAlgoED25519 {
		t.Errorf("algorithms %v", got)
	}
	wantLogin(t, to)

	to.Keys = know(other.PublicKey())
	_, err := Dial(t.Context(), to)
	wantClass(t, err, HostKey)
	if changed := new(KeyError); !errors.As(err, &changed) {
		t.Errorf("a changed key: %v", err)
	}

	to.Keys = know(nil)
	_, err = Dial(t.Context(), to)
	wantClass(t, err, UnknownHost)
	unknown := new(UnknownHostError)
	if !errors.As(err, &unknown) {
		t.Fatalf("an unknown host: %v", err)
	}
	if to.Keys, err = Pinned(unknown.Line()); err != nil {
		t.Fatal(err)
	}
	wantLogin(t, to)
	if to.Keys, err = Pinned(string(ssh.MarshalAuthorizedKey(other.PublicKey()))); err != nil {
		t.Fatal(err)
	}
	_, err = Dial(t.Context(), to)
	wantClass(t, err, HostKey)
	if _, err := Pinned("nonsense"); err == nil {
		t.Error("nonsense is pinned")
	}
	if _, err := Known("x", netip.AddrPort{}, os.DevNull); err != nil {
		t.Error(err)
	}
}
