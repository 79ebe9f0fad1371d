// Package tlspin decides which TLS servers a client trusts: the one that
// shows a certificate with a given SHA-256 fingerprint, those of a given
// authority, or else those the system trusts. There is no way to trust all.
package tlspin

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// An UntrustedError says that a server's certificate was not accepted.
type UntrustedError struct {
	Fingerprint string // AA:BB:..., SHA-256 of the certificate that was shown
	Cause       error
}

// Error names the cause and the fingerprint to compare.
func (e *UntrustedError) Error() string {
	return fmt.Sprintf("certificate is not trusted: %v; its SHA-256 fingerprint is %s", e.Cause, e.Fingerprint)
}

// Unwrap returns why the certificate was not accepted.
func (e *UntrustedError) Unwrap() error { return e.Cause }

// Config returns a client configuration. With a fingerprint the server's leaf
// must have it, and nothing else counts; with caPEM the chain must end in one
// of its certificates; with neither the system's roots decide. Both together
// are an error.
func Config(fingerprint string, caPEM []byte) (*tls.Config, error) {
	if fingerprint != "" && caPEM != nil {
		return nil, errors.New("a fingerprint and an authority exclude each other")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caPEM != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(caPEM) {
			return nil, errors.New("the authority holds no PEM certificate")
		}
	}
	if fingerprint == "" {
		return config, nil
	}
	pin, err := Parse(fingerprint)
	if err != nil {
		return nil, err
	}
	config.InsecureSkipVerify = true // the usual verification knows no fingerprints
	config.VerifyConnection = func(state tls.ConnectionState) error { return compare(pin, state.PeerCertificates[0]) }
	return config, nil
}

func compare(pin string, leaf *x509.Certificate) error {
	if shown := Fingerprint(leaf); shown != pin {
		return &UntrustedError{shown, errors.New("it has another fingerprint than the one given")}
	}
	return nil
}

// Explain returns the UntrustedError that err is or, for a failed standard
// verification, stands for; nil when err is something else.
func Explain(err error) *UntrustedError {
	var untrusted *UntrustedError
	if errors.As(err, &untrusted) {
		return untrusted
	}
	var failed *tls.CertificateVerificationError
	if errors.As(err, &failed) && len(failed.UnverifiedCertificates) > 0 {
		return &UntrustedError{Fingerprint(failed.UnverifiedCertificates[0]), failed.Err}
	}
	return nil
}

// Fingerprint writes the SHA-256 of a certificate as AA:BB:....
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return colons(sum[:])
}

// Parse takes a SHA-256 fingerprint in either case, with or without colons,
// and returns it as Fingerprint writes it.
func Parse(s string) (string, error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(s), ":", ""))
	if err != nil || len(raw) != sha256.Size {
		return "", fmt.Errorf("%q is not a SHA-256 fingerprint of 32 hex bytes", s)
	}
	return colons(raw), nil
}

func colons(raw []byte) string {
	pairs := make([]string, len(raw))
	for i, b := range raw {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}
