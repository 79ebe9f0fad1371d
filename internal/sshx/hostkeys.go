package sshx

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/internal/atomicfile"
)

// A KeyError says that a host showed another key than the one it was known by.
type KeyError struct{ Want, Got string }

func (e *KeyError) Error() string {
	return fmt.Sprintf("host key is %s, known was %s", e.Got, e.Want)
}

// A Book remembers host keys in a file of its own, never in the user's
// known_hosts: keys of cluster hosts change by design, once for each boot of
// the live system and once more by the installation. Entries therefore have
// names such as "control-0 installed", not addresses. It is safe for
// concurrent use by one process.
type Book struct {
	path string
	mu   sync.Mutex
	keys map[string]string // name -> "type base64"
}

// OpenBook reads the book at path; a missing file is an empty book.
func OpenBook(path string) (*Book, error) {
	b := &Book{path: path, keys: map[string]string{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &b.keys)
	}
	if err != nil {
		return nil, fmt.Errorf("read host keys %s: %w", path, err)
	}
	return b, nil
}

// Entry returns the host keys under one name: an unknown key is trusted on
// first use and remembered, a known one must match.
func (b *Book) Entry(name string) HostKeys { return entry{b, name} }

type entry struct {
	book *Book
	name string
}

func (e entry) Algorithms() []string {
	known := e.book.get(e.name)
	if known == nil {
		return nil
	}
	return algorithmsOf(known)
}

func (e entry) Check(key ssh.PublicKey) error {
	known := e.book.get(e.name)
	if known == nil {
		return e.book.put(e.name, key)
	}
	if string(known.Marshal()) != string(key.Marshal()) {
		return &KeyError{ssh.FingerprintSHA256(known), ssh.FingerprintSHA256(key)}
	}
	return nil
}

// Either returns the host keys of a host whose system is not known: those of
// now and of another entry. Nothing is remembered. While there is no key under
// now any other is trusted, for its first use would be.
func (b *Book) Either(now, other string) HostKeys { return either{entry{b, now}, entry{b, other}} }

type either struct{ now, other entry }

func (e either) Algorithms() []string {
	if e.now.Algorithms() == nil {
		return nil
	}
	return append(e.now.Algorithms(), e.other.Algorithms()...)
}

func (e either) Check(key ssh.PublicKey) error {
	if e.now.Algorithms() == nil || e.other.Algorithms() != nil && e.other.Check(key) == nil {
		return nil
	}
	return e.now.Check(key)
}

// Forget has the next key under the name trusted on first use: that of a
// machine which is about to be made anew.
func (b *Book) Forget(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.keys[name] == "" {
		return nil
	}
	delete(b.keys, name)
	return b.write()
}

func (b *Book) get(name string) ssh.PublicKey {
	b.mu.Lock()
	defer b.mu.Unlock()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(b.keys[name]))
	if err != nil {
		return nil
	}
	return key
}

func (b *Book) put(name string, key ssh.PublicKey) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys[name] = string(ssh.MarshalAuthorizedKey(key))
	return b.write()
}

// write replaces the file. The caller holds mu.
func (b *Book) write() error {
	data, err := json.MarshalIndent(b.keys, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(b.path, data, 0o600)
}
