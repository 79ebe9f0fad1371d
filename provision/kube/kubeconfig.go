package kube

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.yaml.in/yaml/v3"
)

// A Kubeconfig is the part of a kubeconfig file that a client needs.
type Kubeconfig struct {
	Server *url.URL
	CA     []byte         // PEM, of the API server; nil: the system's
	roots  *x509.CertPool // the same
	cert   *tls.Certificate
	token  string
}

type rawConfig struct {
	CurrentContext string `yaml:"current-context"`
	Clusters       []struct {
		Name    string `yaml:"name"`
		Cluster struct {
			Server string `yaml:"server"`
			CA     string `yaml:"certificate-authority-data"`
		} `yaml:"cluster"`
	} `yaml:"clusters"`
	Contexts []struct {
		Name    string `yaml:"name"`
		Context struct {
			Cluster string `yaml:"cluster"`
			User    string `yaml:"user"`
		} `yaml:"context"`
	} `yaml:"contexts"`
	Users []struct {
		Name string  `yaml:"name"`
		User rawUser `yaml:"user"`
	} `yaml:"users"`
}

type rawUser struct {
	Cert  string `yaml:"client-certificate-data"`
	Key   string `yaml:"client-key-data"`
	Token string `yaml:"token"`
	Exec  any    `yaml:"exec"`
}

// Parse reads a kubeconfig. Only embedded certificates, keys and tokens are
// supported: what an installer writes. Errors never contain file content.
func Parse(data []byte) (*Kubeconfig, error) {
	var raw rawConfig
	if err := yaml.Unmarshal(data, &raw); err != nil {
		return nil, errors.New("kubeconfig is not YAML")
	}
	cluster, user, err := raw.names()
	if err != nil {
		return nil, err
	}
	k := &Kubeconfig{}
	if err := k.setCluster(raw, cluster); err != nil {
		return nil, err
	}
	return k, k.setUser(raw, user)
}

func (raw rawConfig) names() (cluster, user string, err error) {
	for _, c := range raw.Contexts {
		if c.Name == raw.CurrentContext {
			return c.Context.Cluster, c.Context.User, nil
		}
	}
	return "", "", fmt.Errorf("kubeconfig has no context %q", raw.CurrentContext)
}

func (k *Kubeconfig) setCluster(raw rawConfig, name string) error {
	for _, c := range raw.Clusters {
		if c.Name != name {
			continue
		}
		server, err := url.Parse(c.Cluster.Server)
		if err != nil || server.Scheme != "https" || server.Hostname() == "" {
			return fmt.Errorf("kubeconfig names the server %q, which is no https address", c.Cluster.Server)
		}
		k.Server = server
		return k.setRoots(c.Cluster.CA)
	}
	return fmt.Errorf("kubeconfig has no cluster %q", name)
}

func (k *Kubeconfig) setRoots(encoded string) error {
	if encoded == "" {
		return nil
	}
	ca, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return errors.New("kubeconfig: certificate-authority-data is not base64")
	}
	k.CA, k.roots = ca, x509.NewCertPool()
	if !k.roots.AppendCertsFromPEM(ca) {
		return errors.New("kubeconfig: certificate-authority-data holds no certificate")
	}
	return nil
}

func (k *Kubeconfig) setUser(raw rawConfig, name string) error {
	for _, u := range raw.Users {
		if u.Name != name {
			continue
		}
		if u.User.Exec != nil {
			return fmt.Errorf("kubeconfig user %q runs a program to log in, which slipway does not do", name)
		}
		k.token = u.User.Token
		return k.setCert(u.User)
	}
	return fmt.Errorf("kubeconfig has no user %q", name)
}

func (k *Kubeconfig) setCert(u rawUser) error {
	if u.Cert == "" {
		return nil
	}
	cert, err1 := base64.StdEncoding.DecodeString(u.Cert)
	key, err2 := base64.StdEncoding.DecodeString(u.Key)
	if err1 != nil || err2 != nil {
		return errors.New("kubeconfig: client certificate or key is not base64")
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return errors.New("kubeconfig: client certificate and key do not fit together")
	}
	k.cert = &pair
	return nil
}

// Expires is when the client certificate ends; zero without one. Certificates
// of a cluster that was just installed live 24 hours.
func (k *Kubeconfig) Expires() time.Time {
	if k.cert == nil || k.cert.Leaf == nil {
		return time.Time{}
	}
	return k.cert.Leaf.NotAfter
}
