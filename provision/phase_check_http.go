package provision

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

const (
	askTimeout   = 10 * time.Second
	askBody      = 1 << 20 // bytes read so that the connection ends in order
	askRedirects = 10
)

// A request is one GET, as a client of the cluster makes it.
type request struct {
	url      string
	resolver netip.AddrPort // names are looked up there, and nowhere else
	roots    *x509.CertPool
	follow   bool // redirects
}

// status returns the status of the answer. Certificates are verified, and a
// proxy of this host's environment is not used.
func (q request) status(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.url, nil)
	if err != nil {
		return 0, err
	}
	transport := &http.Transport{DialContext: q.dialer().DialContext, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: q.roots, MinVersion: tls.VersionTLS12}}
	client := http.Client{Transport: transport, Timeout: askTimeout, CheckRedirect: q.redirect}
	reply, err := client.Do(req)
	if err != nil {
		return 0, err // it names method and URL
	}
	defer reply.Body.Close()
	_, _ = io.CopyN(io.Discard, reply.Body, askBody)
	return reply.StatusCode, nil
}

func (q request) redirect(_ *http.Request, via []*http.Request) error {
	switch {
	case !q.follow:
		return http.ErrUseLastResponse
	case len(via) > askRedirects:
		return errors.New("more redirects than a browser follows")
	}
	return nil
}

func (q request) dialer() *net.Dialer {
	direct := &net.Dialer{Timeout: askTimeout}
	return &net.Dialer{Timeout: askTimeout, Resolver: &net.Resolver{PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return direct.DialContext(ctx, network, q.resolver.String())
		}}}
}

// plain drops what *url.Error puts before its cause: the URL is named anyway.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
