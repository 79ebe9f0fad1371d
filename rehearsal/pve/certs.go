package pve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// certs are the authority of the datacentre, which signs what its nodes
// answer with.
type certs struct {
	ca  *x509.Certificate
	der []byte
	key *ecdsa.PrivateKey
}

func newCerts() (certs, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certs{}, err
	}
	ca := template("Proxmox Virtual Environment")
	ca.IsCA, ca.BasicConstraintsValid = true, true
	ca.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	return certs{ca, der, key}, err
}

// issue makes a certificate for names and addresses.
func (c certs) issue(hosts []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf := template(hosts[0])
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, c.ca, &key.PublicKey, c.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err = x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

func template(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: []string{"PVE Cluster Manager CA"}},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(2 * 365 * 24 * time.Hour),
	}
}

// serverConfig answers with the node's certificate as it is at the time. No
// session is resumed, for that would keep an old one alive.
func (s *Server) serverConfig(h *host) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{"http/1.1"},
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			cert := h.cert
			return &cert, nil
		},
	}
}

// RotateCertificate gives a node a new certificate for the same names, from
// the same authority, and ends its connections.
func (s *Server) RotateCertificate(node string) error {
	h := s.hosts[node]
	if h == nil {
		return fmt.Errorf("node %s does not exist", node)
	}
	s.mu.Lock()
	old := h.cert.Leaf
	s.mu.Unlock()
	names := append([]string{}, old.DNSNames...)
	for _, ip := range old.IPAddresses {
		names = append(names, ip.String())
	}
	cert, err := s.certs.issue(names)
	if err != nil {
		return err
	}
	s.mu.Lock()
	h.cert = cert
	s.mu.Unlock()
	h.gate.cut()
	return nil
}

// Fingerprint is the SHA-256 of the first node's certificate, as the web
// interface shows it: "AA:BB:...".
func (s *Server) Fingerprint() string { return s.NodeFingerprint(s.cfg.Nodes[0]) }

// NodeFingerprint is that of a node's certificate; "" when there is no such
// node.
func (s *Server) NodeFingerprint(node string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.hosts[node]; h != nil {
		return h.fingerprint()
	}
	return ""
}

// fingerprint is that of the certificate. The caller holds Server.mu.
func (h *host) fingerprint() string {
	sum := sha256.Sum256(h.cert.Certificate[0])
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// CA is the certificate of the datacentre's authority in PEM
// (/etc/pve/pve-root-ca.pem).
func (s *Server) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.certs.der})
}
