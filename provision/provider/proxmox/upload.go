package proxmox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/slipway-project/slipway/provision/provider"
)

// stall is how long an upload may make no progress. The server copies the
// file before it answers, which takes its time too.
const stall = 5 * time.Minute

// upload sends an image in constant memory and returns the UPID of the task
// that stores it.
//
// The order of the fields is law: a checksum after the file is ignored and
// added to the stored image, one before its algorithm hangs the connection,
// and chunked requests are refused (501), so the length is computed first.
func (c *client) upload(ctx context.Context, node string, at shelf, img provider.Image, count func(int64)) (handle string, err error) {
	file, err := os.Open(img.Path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() != img.Size {
		return "", errors.Join(fmt.Errorf("file %s is not %d bytes long", img.Path, img.Size), err)
	}
	ctx, watch := watchStall(ctx, c.pace.Budget(stall))
	defer watch.stop()
	path := "/nodes/" + node + "/storage/" + at.storage + "/upload"
	counted := &countingReader{from: file, count: func(n int64) { watch.moved(); count(n) }}
	err = c.call(ctx, http.MethodPost, path, func(ctx context.Context) error {
		req, err := uploadRequest(ctx, c.base+path, at.content, img, counted)
		if err != nil {
			return err
		}
		handle, err = c.send(req)
		return err
	})
	counted.end(err == nil)
	return handle, err
}

func uploadRequest(ctx context.Context, target, content string, img provider.Image, file io.Reader) (*http.Request, error) {
	boundary := "slipway-" + rand.Text()
	head := formField(boundary, "content", content) +
		formField(boundary, "checksum-algorithm", "sha256") +
		formField(boundary, "checksum", strings.ToLower(img.SHA256)) +
		fileField(boundary, img.Name)
	tail := "\r\n--" + boundary + "--\r\n"
	body := io.MultiReader(strings.NewReader(head), io.LimitReader(file, img.Size), strings.NewReader(tail))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(len(head)) + img.Size + int64(len(tail))
	req.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	return req, nil
}

// The server wants Content-Disposition to be the first header of a part.
func formField(boundary, name, value string) string {
	return fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, name, value)
}

func fileField(boundary, name string) string {
	return fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=\"filename\"; filename=%q\r\nContent-Type: application/octet-stream\r\n\r\n",
		boundary, name)
}

// countingReader tells what was read, and can take it back when all of it
// has to be sent again. The connection may read on after the server has
// answered, so it can be shut.
type countingReader struct {
	from  io.Reader
	count func(int64)

	mu    sync.Mutex
	total int64
	shut  bool
}

func (r *countingReader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shut {
		return 0, os.ErrClosed
	}
	n, err := r.from.Read(b)
	r.total += int64(n)
	r.count(int64(n))
	return n, err
}

// end shuts the reader; what was counted is taken back unless all went well.
func (r *countingReader) end(well bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut = true
	if !well {
		r.count(-r.total)
	}
}

// A stallWatch ends a context when nothing has moved for a while.
type stallWatch struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func watchStall(ctx context.Context, limit time.Duration) (context.Context, *stallWatch) {
	ctx, cancel := context.WithCancelCause(ctx)
	stalled := fmt.Errorf("upload made no progress for %s", limit)
	return ctx, &stallWatch{limit, time.AfterFunc(limit, func() { cancel(stalled) }), cancel}
}

func (w *stallWatch) moved() { w.timer.Reset(w.limit) }

func (w *stallWatch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}
