package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

const (
	requestTimeout = 10 * time.Second
	maxReply       = 16 << 20
	pageSize       = 250
)

// A Client asks one API server or balancer. It is safe for concurrent use.
type Client struct {
	server *url.URL
	token  string
	http   *http.Client
}

// NewClient returns a client that dials at, when it is valid, instead of
// resolving the server's name; TLS still verifies the name.
func NewClient(k *Kubeconfig, at netip.Addr) *Client {
	transport := &http.Transport{
		TLSClientConfig:     k.tls(),
		DialContext:         dial(at),
		TLSHandshakeTimeout: requestTimeout,
		IdleConnTimeout:     time.Minute,
		ForceAttemptHTTP2:   true,
		// A control plane that hangs is noticed by pings, not after the
		// kernel's 15 minutes.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
	return &Client{k.Server, k.token, &http.Client{Transport: transport, Timeout: requestTimeout}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (k *Kubeconfig) tls() *tls.Config {
	config := &tls.Config{RootCAs: k.roots, MinVersion: tls.VersionTLS12}
	if k.cert != nil {
		config.Certificates = []tls.Certificate{*k.cert}
	}
	return config
}

func dial(at netip.Addr) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if _, port, err := net.SplitHostPort(address); err == nil && at.IsValid() {
			address = net.JoinHostPort(at.String(), port)
		}
		return dialer.DialContext(ctx, network, address)
	}
}

// A StatusError is an answer of the API that is not a success.
type StatusError struct {
	Path    string
	Code    int
	Message string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %d %s", e.Path, e.Code, e.Message)
}

// Transient reports whether asking again may help.
func (e *StatusError) Transient() bool { return e.Code == 429 || e.Code >= 500 }

// Readyz returns nil once the API server calls itself ready.
func (c *Client) Readyz(ctx context.Context) error {
	_, err := c.get(ctx, "/readyz", nil)
	return err
}

func (c *Client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	return c.call(ctx, http.MethodGet, path, query, nil)
}

// call sends body, a JSON merge patch, unless it is nil.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body []byte) ([]byte, error) {
	target := c.server.JoinPath(path)
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/merge-patch+json") // RFC 7386
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	reply, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the cluster's API: %w", trim(err))
	}
	defer reply.Body.Close()
	data, err := io.ReadAll(io.LimitReader(reply.Body, maxReply))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if reply.StatusCode != http.StatusOK {
		return nil, &StatusError{path, reply.StatusCode, message(reply, data)}
	}
	return data, nil
}

// trim drops the method and the query that *url.Error puts before its cause.
func trim(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func message(reply *http.Response, data []byte) string {
	var status struct{ Message string }
	if json.Unmarshal(data, &status) == nil && status.Message != "" {
		return status.Message
	}
	return http.StatusText(reply.StatusCode)
}

// object reads one object; absent is ok == false.
func object[T any](ctx context.Context, c *Client, path string) (v T, ok bool, err error) {
	data, err := c.get(ctx, path, nil)
	var status *StatusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return v, false, nil
	}
	if err != nil {
		return v, false, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, false, fmt.Errorf("%s: %w", path, err)
	}
	return v, true, nil
}

// list reads all pages of a list.
func list[T any](ctx context.Context, c *Client, path string) (items []T, err error) {
	query := url.Values{"limit": {fmt.Sprint(pageSize)}}
	for {
		data, err := c.get(ctx, path, query)
		if err != nil {
			return nil, err
		}
		var page struct {
			Metadata struct{ Continue string }
			Items    []T
		}
		if err := json.Unmarshal(data, &page); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		items = append(items, page.Items...)
		if page.Metadata.Continue == "" {
			return items, nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
}
