package sshx

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Pinned trusts one host key, written as in known_hosts or a *.pub file: type
// and base64, with or without a comment.
func Pinned(line string) (HostKeys, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	return pinned{key}, nil
}

type pinned struct{ key ssh.PublicKey }

func (p pinned) Algorithms() []string { return algorithmsOf(p.key) }

func (p pinned) Check(key ssh.PublicKey) error {
	if string(key.Marshal()) != string(p.key.Marshal()) {
		return &KeyError{ssh.FingerprintSHA256(p.key), ssh.FingerprintSHA256(key)}
	}
	return nil
}

func algorithmsOf(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}

// An UnknownHostError says that nobody has vouched for a host's key yet.
type UnknownHostError struct {
	Host string
	Key  ssh.PublicKey
}

func (e *UnknownHostError) Error() string {
	return fmt.Sprintf("the host key of %s is not known: %s", e.Host, ssh.FingerprintSHA256(e.Key))
}

// Line is the key as [Pinned] reads it.
func (e *UnknownHostError) Line() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(e.Key)))
}

// Known trusts what the known_hosts files say of the host at address; files
// that do not exist say nothing. An unknown key is an [UnknownHostError].
func Known(host string, address netip.AddrPort, files ...string) (HostKeys, error) {
	var there []string
	for _, f := range files {
		if _, err := os.Stat(f); !errors.Is(err, fs.ErrNotExist) {
			there = append(there, f)
		}
	}
	check, err := knownhosts.New(there...)
	if err != nil {
		return nil, fmt.Errorf("known hosts: %w", err)
	}
	return known{host, address, check}, nil
}

type known struct {
	host    string
	address netip.AddrPort
	check   ssh.HostKeyCallback
}

// Algorithms are those of the keys on record, found by showing one that cannot
// be: another type than theirs would look like a changed key.
func (k known) Algorithms() (names []string) {
	var mismatch *knownhosts.KeyError
	if err := k.ask(nobody{}); errors.As(err, &mismatch) {
		for _, want := range mismatch.Want {
			names = append(names, algorithmsOf(want.Key)...)
		}
	}
	if names == nil {
		return preferred
	}
	return names
}

// preferred is what a host is known by that is met for the first time.
var preferred = []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}

func (k known) Check(key ssh.PublicKey) error {
	err := k.ask(key)
	var mismatch *knownhosts.KeyError
	if !errors.As(err, &mismatch) {
		return err
	}
	if len(mismatch.Want) == 0 {
		return &UnknownHostError{k.host, key}
	}
	return &KeyError{ssh.FingerprintSHA256(mismatch.Want[0].Key), ssh.FingerprintSHA256(key)}
}

func (k known) ask(key ssh.PublicKey) error {
	name := net.JoinHostPort(k.host, fmt.Sprint(k.address.Port()))
	return k.check(name, net.TCPAddrFromAddrPort(k.address), key)
}

// nobody is a key that no host has.
type nobody struct{}

func (nobody) Type() string                        { return "none" }
func (nobody) Marshal() []byte                     { return nil }
func (nobody) Verify([]byte, *ssh.Signature) error { return errors.New("no such key") }
