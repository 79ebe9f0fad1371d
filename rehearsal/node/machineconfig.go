package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"

	"go.yaml.in/yaml/v3"
)

// A machineConfig is what a node gets from the machine config server.
type machineConfig struct {
	bootstrap kubeconfig // of the node bootstrapper
	keys      []string   // authorized keys of user core
}

// A kubeconfig is one context of a kubeconfig file.
type kubeconfig struct {
	server string
	ca     []byte // PEM
	token  string
	client *credential
}

// A credential is a client certificate with its key, both PEM.
type credential struct{ cert, key []byte }

const kubeconfigPath = "/etc/kubernetes/kubeconfig"

// rendered is the Ignition configuration of every node of a role.
func (c *cluster) rendered() ([]byte, error) {
	type object = map[string]any
	config, err := yaml.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "kubelet",
		"clusters": []object{{"name": "local", "cluster": object{
			"server": "https://api-int." + c.bundle.fullName() + ":6443", "certificate-authority-data": encode(c.bundle.CACert)}}},
		"contexts": []object{{"name": "kubelet", "context": object{"cluster": "local", "user": "kubelet"}}},
		"users":    []object{{"name": "kubelet", "user": object{"token": c.token}}},
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(ignition{
		Ignition: ignitionVersion{"3.2.0"},
		Passwd:   passwd{[]user{{Name: coreUser, Keys: c.bundle.SSHKeys}}},
		Storage:  storage{[]file{newFile(kubeconfigPath, 0o600, config)}},
	})
}

func parseMachineConfig(data []byte) (*machineConfig, error) {
	var config ignition
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("ignition: %w", err)
	}
	if err := config.check(); err != nil {
		return nil, err
	}
	content, ok, err := config.read(kubeconfigPath)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("ignition: %s is missing", kubeconfigPath)
	}
	k, err := parseKubeconfig(content)
	return &machineConfig{k, config.keys()}, err
}

// parseKubeconfig reads files that this package wrote: one cluster, one user.
func parseKubeconfig(data []byte) (k kubeconfig, err error) {
	var file struct {
		Clusters []struct {
			Cluster struct {
				Server string `yaml:"server"`
				CA     string `yaml:"certificate-authority-data"`
			} `yaml:"cluster"`
		} `yaml:"clusters"`
		Users []struct {
			User struct {
				Token string `yaml:"token"`
				Cert  string `yaml:"client-certificate-data"`
				Key   string `yaml:"client-key-data"`
			} `yaml:"user"`
		} `yaml:"users"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil || len(file.Clusters) != 1 || len(file.Users) != 1 {
		return k, errors.New("kubeconfig: not one cluster and one user")
	}
	cluster, user := file.Clusters[0].Cluster, file.Users[0].User
	ca, err1 := base64.StdEncoding.DecodeString(cluster.CA)
	cert, err2 := base64.StdEncoding.DecodeString(user.Cert)
	key, err3 := base64.StdEncoding.DecodeString(user.Key)
	k = kubeconfig{server: cluster.Server, ca: ca, token: user.Token}
	if len(cert) > 0 {
		k.client = &credential{cert, key}
	}
	return k, errors.Join(err1, err2, err3)
}

// serveMachineConfig is the machine config server: the same configuration for
// every node of a role, to anybody who asks.
func (c *cluster) serveMachineConfig() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {})
	mux.HandleFunc("GET /config/{pool}", func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains([]string{"master", "worker"}, r.PathValue("pool")) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if c.quorum() != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		data, err := c.rendered()
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(data)
	})
	return mux
}

// fetchConfig asks the machine config server by its name, so through DNS and
// the load balancer, and trusts the cluster's authority only.
func (s *system) fetchConfig(ctx context.Context, b Bundle, role string) (*machineConfig, error) {
	roots, err := certPool(b.CACert)
	if err != nil {
		return nil, err
	}
	client := s.client(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api-int."+b.fullName()+":22623/config/"+role, nil)
	if err != nil {
		return nil, err
	}
	request = request.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		s.host.update(func(h *HostState) { h.Ignition = c.Conn.RemoteAddr().String() })
	}}))
	request.Header.Set("Accept", "application/vnd.coreos.ignition+json;version=3.5.0, */*;q=0.1")
	request.Header.Set("User-Agent", "Ignition/2.21.0")
	var data json.RawMessage
	if err := exchange(client, request, &data); err != nil {
		return nil, fmt.Errorf("fetch ignition: %w", err)
	}
	return parseMachineConfig(data)
}

func certPool(ca []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("no certificate of an authority")
	}
	return pool, nil
}
