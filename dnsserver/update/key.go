package update

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/secret"
)

// A Key is a TSIG key. The secret is what a [secret.Value] reveals: base64, or
// the key file that tsig-keygen or keymgr wrote.
type Key struct {
	Name      string // as the server knows it, with or without the final dot
	Algorithm string // one of Algorithms
	Secret    secret.Value
}

// Algorithms lists the algorithms a [Key] may have.
func Algorithms() []string {
	return []string{"hmac-sha256", "hmac-sha224", "hmac-sha384", "hmac-sha512", "hmac-sha1"}
}

// ParseKey reads NAME:ALGORITHM:FILE or NAME:ALGORITHM, and returns the key
// without its secret, and the file.
func ParseKey(s string) (k Key, file string, err error) {
	name, rest, ok := strings.Cut(s, ":")
	if !ok {
		return Key{}, "", fmt.Errorf("%q is not NAME:ALGORITHM:FILE", s)
	}
	algorithm, file, _ := strings.Cut(rest, ":")
	k = Key{Name: name, Algorithm: strings.ToLower(algorithm)}
	return k, file, k.check()
}

func (k Key) check() error {
	if _, ok := dns.IsDomainName(k.Name); !ok || k.Name == "" {
		return fmt.Errorf("key name %q is not a domain name", k.Name)
	}
	if !slices.Contains(Algorithms(), k.Algorithm) {
		return fmt.Errorf("algorithm %q of key %s is not one of %s", k.Algorithm, k.Name, strings.Join(Algorithms(), ", "))
	}
	return nil
}

// owner is the key's name as it stands in messages.
func (k Key) owner() string { return dns.CanonicalName(k.Name) }

// reveal returns the secret in base64.
func (k Key) reveal() (string, error) {
	text, err := k.Secret.Reveal()
	if err != nil {
		return "", err
	}
	found, err := findSecret(text)
	if err != nil {
		return "", fmt.Errorf("secret of key %s from %s: %w", k.Name, k.Secret.Origin(), err)
	}
	return found, nil
}

// secretField is how key files name the secret: BIND `secret "...";`, Knot
// `secret: ...`.
var secretField = regexp.MustCompile(`(?m)\bsecret["\s:]+([A-Za-z0-9+/]+=*)`)

// findSecret finds the secret in a file that holds nothing else, or in a key
// file. The error does not repeat what it read.
func findSecret(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch found := secretField.FindAllStringSubmatch(text, -1); len(found) {
	case 0:
	case 1:
		text = found[0][1]
	default:
		return "", errors.New("it holds several keys, where one is needed")
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) == 0 {
		return "", errors.New("it is neither base64 nor a key file")
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}
