package sshx

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/internal/atomicfile"
)

// LoadKey reads the private key at path, or makes an ed25519 key there (0600)
// when there is none. authorized is its line for authorized_keys.
func LoadKey(path, comment string) (signer ssh.Signer, authorized string, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = makeKey(path, comment)
	}
	if err != nil {
		return nil, "", fmt.Errorf("cluster SSH key: %w", err)
	}
	signer, err = ssh.ParsePrivateKey(data)
	if err != nil {
		return nil, "", fmt.Errorf("cluster SSH key %s: %w", path, err)
	}
	line := ssh.MarshalAuthorizedKey(signer.PublicKey())
	return signer, string(line[:len(line)-1]) + " " + comment, nil
}

func makeKey(path, comment string) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return nil, err
	}
	data := pem.EncodeToMemory(block)
	return data, atomicfile.Write(path, data, 0o600)
}
