package node

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"regexp"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestNewBundle(t *testing.T) {
	b, err := NewBundle("id", "mycluster", "lab.test", "4.20.3", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^([a-zA-Z2-9]{5}-){3}[a-zA-Z2-9]{5}$`).MatchString(b.Password) {
		t.Errorf("password %q", b.Password)
	}
	var config struct {
		Clusters []struct {
			Cluster struct{ Server string }
		}
		Users []struct {
			User struct {
				Cert string `yaml:"client-certificate-data"`
				Key  string `yaml:"client-key-data"`
			}
		}
	}
	if err := yaml.Unmarshal(b.Kubeconfig, &config); err != nil {
		t.Fatal(err)
	}
	if got := config.Clusters[0].Cluster.Server; got != "https://api.mycluster.lab.test:6443" {
		t.Errorf("server %s", got)
	}
	cert, _ := base64.StdEncoding.DecodeString(config.Users[0].User.Cert)
	key, _ := base64.StdEncoding.DecodeString(config.Users[0].User.Key)
	pair, err := tls.X509KeyPair(cert, key)
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
