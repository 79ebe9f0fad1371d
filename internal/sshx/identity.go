package sshx

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/slipway-project/slipway/internal/hint"
)

// maxKeys is how many keys are offered: an sshd hangs up after six attempts.
const maxKeys = 3

// ErrNoKey is returned when a person has no key to log in with.
var ErrNoKey = errors.New("there is no SSH key to log in with")

// Identities are the keys of the person who runs slipway: the one at path, or
// without a path those of the agent at socket (SSH_AUTH_SOCK) and the usual
// files in home. The agent is asked, never forwarded. Close ends the connection
// to it.
func Identities(path, socket, home string) (signers []ssh.Signer, close func(), err error) {
	close = func() {}
	if path != "" {
		signer, err := readKey(path)
		return []ssh.Signer{signer}, close, err
	}
	if socket != "" {
		if conn, err := net.Dial("unix", socket); err == nil {
			close = func() { _ = conn.Close() }
			signers, _ = agent.NewClient(conn).Signers()
		}
	}
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		if signer, err := readKey(filepath.Join(home, ".ssh", name)); err == nil {
			signers = append(signers, signer)
		}
	}
	if len(signers) == 0 {
		close()
		return nil, func() {}, hint.With(ErrNoKey, `load one into ssh-agent, or name its file: key = "~/.ssh/id_ed25519"`)
	}
	return signers[:min(maxKeys, len(signers))], close, nil
}

func readKey(path string) (ssh.Signer, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s does not exist", ErrNoKey, path)
	}
	if err != nil {
		return nil, fmt.Errorf("SSH key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(data)
	if locked := new(ssh.PassphraseMissingError); errors.As(err, &locked) {
		return nil, hint.With(fmt.Errorf("SSH key %s has a passphrase", path), "load it into ssh-agent (ssh-add "+path+") and leave out key")
	}
	if err != nil {
		return nil, fmt.Errorf("SSH key %s: %w", path, err)
	}
	return signer, nil
}
