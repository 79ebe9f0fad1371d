package assisted

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/tlspin"
	"github.com/slipway-project/slipway/provision/installer"
)

// stallLimit is how long a download may stand still.
const stallLimit = time.Minute

var errStalled = errors.New("download stands still")

// Media writes the discovery ISO to w, and refuses what is none: another
// system's, another file, or a part. Its URL is asked for anew each time,
// since signed ones expire. progress may be nil; total is 0 while unknown.
func (e *Engine) Media(ctx context.Context, ref installer.Ref, w io.Writer, progress func(got, total int64)) (int64, error) {
	location, err := e.imageURL(ctx, ref)
	if err != nil {
		return 0, fmt.Errorf("discovery image: %w", err)
	}
	n, err := e.download(ctx, location, w, progress)
	if err != nil {
		return n, fmt.Errorf("download discovery image from %s: %w", location.Host, err)
	}
	return n, nil
}

func (e *Engine) imageURL(ctx context.Context, ref installer.Ref) (*url.URL, error) {
	var image imageURL
	if err := e.do(ctx, call{method: http.MethodGet, path: "/infra-envs/" + ref.InfraEnvID + "/downloads/image-url"}, &image); err != nil {
		return nil, err
	}
	location, err := url.Parse(image.URL)
	if err != nil || location.Host == "" {
		return nil, errors.New("the service names no image URL")
	}
	endpoint, err := url.Parse(e.endpoint)
	if err == nil && loopback(location) && !loopback(endpoint) {
		return nil, hint.With(fmt.Errorf("the service gives the image the address %s, which is its own loopback", location.Host),
			"set SERVICE_BASE_URL and IMAGE_SERVICE_BASE_URL of the assisted service to an address that nodes reach")
	}
	return location, nil
}

func loopback(u *url.URL) bool {
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
}

// download streams location to w. The URL itself is the permission: the
// token is not sent along.
func (e *Engine) download(ctx context.Context, location *url.URL, w io.Writer, progress func(got, total int64)) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := e.pace.Budget(stallLimit)
	stalled := time.AfterFunc(limit, func() { cancel(errStalled) })
	defer stalled.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location.String(), nil)
	if err != nil {
		return 0, err
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return 0, because(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %s", resp.Status)
	}
	body := &meter{from: resp.Body, total: max(resp.ContentLength, 0), progress: progress, alive: func() { stalled.Reset(limit) }}
	n, err := pass(w, body)
	if err == nil && resp.ContentLength >= 0 && n != resp.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return n, because(ctx, err)
}

// because prefers why the download was ended to the transport's words for it,
// which hold the signed URL.
func because(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if untrusted := tlspin.Explain(err); untrusted != nil {
		return untrusted
	}
	var transport *url.Error
	if errors.As(err, &transport) {
		return transport.Err
	}
	return err
}

// A meter counts what is read through it.
type meter struct {
	from       io.Reader
	got, total int64
	progress   func(got, total int64)
	alive      func()
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	m.got += int64(n)
	m.alive()
	if m.progress != nil {
		m.progress(m.got, m.total)
	}
	return n, err
}
