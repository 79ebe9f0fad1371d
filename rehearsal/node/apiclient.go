package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
)

// An apiClient speaks to the cluster's API in the name of one user.
type apiClient struct {
	server, token string
	http          *http.Client
}

func (s *system) apiClient(k kubeconfig) (*apiClient, error) {
	roots, err := certPool(k.ca)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if k.client != nil {
		pair, err := tls.X509KeyPair(k.client.cert, k.client.key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return &apiClient{k.server, k.token, s.client(&http.Transport{TLSClientConfig: config})}, nil
}

// administrator returns a client with the kubeconfig of the bundle.
func (s *system) administrator(b Bundle) (*apiClient, error) {
	k, err := parseKubeconfig(b.Kubeconfig)
	if err != nil {
		return nil, err
	}
	return s.apiClient(k)
}

// call sends in as JSON, unless it is nil, and reads the answer into out.
func (c *apiClient) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	return exchange(c.http, request, out)
}

const (
	nodesPath    = "/api/v1/nodes"
	requestsPath = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
)

// wantReady is an error until n nodes with a role are Ready.
func (c *apiClient) wantReady(ctx context.Context, role string, n int) error {
	var list page
	if err := c.call(ctx, http.MethodGet, nodesPath, nil, &list); err != nil {
		return err
	}
	return wantReady(list.Items, role, n)
}
