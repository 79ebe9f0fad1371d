package proxmox

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/tlspin"
)

// An UntrustedError says that the endpoint's certificate matches neither a
// fingerprint nor an authority. It carries the hint with the line to write.
type UntrustedError struct {
	Host        string // host:port
	Fingerprint string // AA:BB:..., of the certificate that was shown
	cause       error
}

// Error names the endpoint, the cause, and the fingerprint to compare.
func (e *UntrustedError) Error() string {
	return fmt.Sprintf("certificate of %s is not trusted: %v; its SHA-256 fingerprint is %s", e.Host, e.cause, e.Fingerprint)
}

// Unwrap returns why the certificate was not accepted.
func (e *UntrustedError) Unwrap() error { return e.cause }

func untrusted(err error) bool {
	var e *UntrustedError
	return errors.As(err, &e)
}

// anchors is what a certificate may match; with none of them, the system's
// authorities decide.
type anchors struct {
	host  string // host:port, for people
	name  string // the name the certificate must be for
	pins  []string
	roots *x509.CertPool
}

// tlsConfig checks every connection against the anchors. The usual
// verification is off only because it knows no fingerprints.
func (a anchors) tlsConfig() *tls.Config {
	return &tls.Config{
		ServerName:         a.name,
		InsecureSkipVerify: true,
		VerifyConnection:   a.verify,
	}
}

func (a anchors) verify(state tls.ConnectionState) error {
	leaf := state.PeerCertificates[0]
	shown := tlspin.Fingerprint(leaf)
	for _, pin := range a.pins {
		if pin == shown {
			return nil
		}
	}
	cause := a.verifyChain(state.PeerCertificates)
	if cause == nil {
		return nil
	}
	err := &UntrustedError{Host: a.host, Fingerprint: shown, cause: cause}
	return hint.With(err, fmt.Sprintf("compare it with the node's (Certificates in the web interface), then write fingerprint = %q", shown))
}

func (a anchors) verifyChain(chain []*x509.Certificate) error {
	if len(a.pins) > 0 && a.roots == nil {
		return errors.New("it has another fingerprint than the one given")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: a.name, Roots: a.roots, Intermediates: between})
	return err
}

// readRoots reads the authorities of a PEM file.
func readRoots(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read certificate authority: %s holds no PEM certificate", path)
	}
	return pool, nil
}
