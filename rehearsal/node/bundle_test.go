package node

import (
	"crypto/tls"
	"crypto/x509"
	"regexp"
	"testing"
)

func TestNewBundle(t *testing.T) {
	b, err := NewBundle("id", "mycluster", "lab.test", "4.20.3", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^([a-zA-Z2-9]{5}-){3}[a-zA-Z2-9]{5}$`).MatchString(b.Password) {
		t.Errorf("password %q", b.Password)
	}
	k, err := parseKubeconfig(b.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if k.server != "https://api.mycluster.lab.test:6443" {
		t.Errorf("server %s", k.server)
	}
	pair, err := tls.X509KeyPair(k.client.cert, k.client.key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := b.authority()
	if err != nil {
		t.Fatal(err)
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: ca.pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil || pair.Leaf.Subject.CommonName != "system:admin" {
		t.Errorf("administrator %s: %v", pair.Leaf.Subject, err)
	}
}
