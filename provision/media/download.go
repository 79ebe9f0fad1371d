package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// stallLimit is how long a download may stand still.
const stallLimit = time.Minute

var errStalled = errors.New("download stands still")

// get sends a request for what follows the first bytes.
func get(ctx context.Context, client *http.Client, method, from string, after int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, from, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity") // else its length is another
	if after > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", after))
	}
	resp, err := client.Do(req)
	if inner := new(url.Error); errors.As(err, &inner) {
		err = inner.Err // without the URL, which may hold a secret
	}
	if err != nil {
		return nil, errors.Join(context.Cause(ctx), err)
	}
	return resp, nil
}

// resume appends to part what is missing; resumed says that there was
// something before.
func (f Fetcher) resume(ctx context.Context, part *os.File, from string, progress func(got, total int64)) (resumed bool, err error) {
	have, err := part.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := f.Pace.Budget(stallLimit)
	watch := time.AfterFunc(limit, func() { cancel(errStalled) })
	defer watch.Stop()
	resp, err := get(ctx, f.client(), http.MethodGet, from, have)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if have, err = begins(resp, have); err != nil {
		return false, err
	}
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return true, nil // there is no more
	}
	if err := part.Truncate(have); err != nil {
		return false, err
	}
	body := &tracked{resp.Body, have, total(resp, have), func(got, total int64) {
		watch.Reset(limit)
		if progress != nil {
			progress(got, total)
		}
	}}
	_, err = io.Copy(io.NewOffsetWriter(part, have), body)
	// A server that hears that nobody listens may end its answer as if it were whole.
	return have > 0, errors.Join(context.Cause(ctx), err)
}

// total is the size of the whole, 0 when it is not told.
func total(resp *http.Response, have int64) int64 {
	if resp.ContentLength < 0 {
		return 0
	}
	return have + resp.ContentLength
}

// begins is the position of the first byte of an answer, which was asked for
// what follows the first have bytes.
func begins(resp *http.Response, have int64) (int64, error) {
	switch resp.StatusCode {
	case http.StatusOK:
		return 0, nil
	case http.StatusPartialContent:
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)) {
			return 0, fmt.Errorf("%s sends %q of it, not what follows byte %d", resp.Request.URL.Host, resp.Header.Get("Content-Range"), have)
		}
		return have, nil
	case http.StatusRequestedRangeNotSatisfiable:
		if have > 0 {
			return have, nil
		}
	}
	return 0, statusError(resp.Request.URL, resp)
}

// tracked tells how many bytes were read of how many.
type tracked struct {
	from       io.Reader
	got, total int64
	read       func(got, total int64)
}

func (t *tracked) Read(b []byte) (int, error) {
	n, err := t.from.Read(b)
	t.got += int64(n)
	t.read(t.got, t.total)
	return n, err
}
