package pve

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

var downloadParams = schema{
	"node": nodeParam, "storage": storageParam, "content": text.of("iso", "vztmpl", "import"),
	"filename": text.upTo(255), "url": text.like(`https?://.*`), "verify-certificates": boolean.opt(),
	"checksum": text.opt().needs("checksum-algorithm"), "checksum-algorithm": checksumAlgorithm,
}

func postDownload(c *call) (any, error) {
	dest, err := c.srv.destination(c, downloadRefusals)
	if err != nil {
		return nil, err
	}
	return c.srv.fork(c, c.node, "download", filepath.Base(dest), func(ctx context.Context, t *task) error {
		return c.srv.download(ctx, t, c, dest)
	})
}

func (s *Server) download(ctx context.Context, t *task, c *call, dest string) error {
	s.print(t, "downloading %s to %s", c.params["url"], dest)
	if exists(dest) {
		return s.keep(t, c, dest)
	}
	tmp, err := os.CreateTemp(s.spool, "download-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already once renamed
	size, err := fetch(ctx, tmp, c.params["url"], c.params["verify-certificates"] != "0")
	tmp.Close()
	if err != nil {
		return err
	}
	if !s.hasRoom(c, size) {
		return die("download failed: exit code 3")
	}
	if got, err := c.checksum(tmp.Name()); err != nil || got != "" {
		return mismatch(err, "checksum mismatch: got '%s' != expect '%s'", got, c.params["checksum"])
	}
	if err := assertContent(c, dest, tmp.Name()); err != nil {
		return die("failed to verify file: %v", err)
	}
	if err := s.pause(ctx, s.copyTime(size)); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), dest); err != nil {
		return die("unable to rename temporary file: %v", err)
	}
	s.print(t, "download of '%s' to '%s' finished", c.params["url"], dest)
	return nil
}

// keep decides about a file that is there already: the right checksum makes
// the download needless, everything else is an error.
func (s *Server) keep(t *task, c *call, dest string) error {
	if c.params["checksum"] == "" {
		return die("refusing to override existing file '%s'", dest)
	}
	if got, err := c.checksum(dest); err != nil || got != "" {
		return mismatch(err, "checksum mismatch: got '%s' != expect '%s', aborting", got, c.params["checksum"])
	}
	s.print(t, "calculating checksum of existing file...OK, got correct file already, no need to download")
	return nil
}

func mismatch(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return die(format, args...)
}

// checksum returns the checksum of a file when it is not the expected one;
// "" means it is, or that none is expected.
func (c *call) checksum(path string) (string, error) {
	algorithm := c.params["checksum-algorithm"]
	if algorithm == "" {
		return "", nil
	}
	got, err := digestFile(algorithm, path)
	if strings.EqualFold(got, c.params["checksum"]) {
		return "", err
	}
	return got, err
}

const connectTimeout = 20 * time.Second

// fetch does what wget does; its exit codes are what the task reports.
func fetch(ctx context.Context, w io.Writer, url string, verify bool) (int64, error) {
	resp, err := request(ctx, http.MethodGet, url, verify)
	if err != nil {
		return 0, die("download failed: exit code 4")
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		return 0, die("download failed: exit code 8")
	}
	return io.Copy(w, resp.Body)
}

func request(ctx context.Context, method, url string, verify bool) (*http.Response, error) {
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig:       &tls.Config{InsecureSkipVerify: !verify}, // verify-certificates=0 is the caller's wish
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: connectTimeout,
		DisableKeepAlives:     true,
	}}
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

// mayUseNetwork asks for the right to use the node's network, which got a
// privilege of its own in 8.2.
func mayUseNetwork(c *call) error {
	network := needs("/", "Sys.Audit", "Sys.Modify")
	if !c.srv.release.before(8, 2) {
		network = either(network, needs("/nodes/{node}", "Sys.AccessNetwork"))
	}
	return network(c)
}

func mayDownload(c *call) error {
	return both(needs("/storage/{storage}", "Datastore.AllocateTemplate"), mayUseNetwork)(c)
}

var urlParams = schema{"node": nodeParam, "url": text.like(`https?://.*`), "verify-certificates": boolean.opt()}

// getURLMetadata asks for the headers of what could be downloaded.
func getURLMetadata(c *call) (any, error) {
	resp, err := request(c.ctx, http.MethodHead, c.params["url"], c.params["verify-certificates"] != "0")
	if err != nil {
		return nil, badParam("url", "invalid server response: '500 Can't connect'")
	}
	resp.Body.Close()
	if resp.StatusCode >= 300 {
		return nil, badParam("url", "invalid server response: '"+resp.Status+"'")
	}
	out := map[string]any{"filename": path.Base(resp.Request.URL.Path)}
	if resp.ContentLength >= 0 {
		out["size"] = resp.ContentLength
	}
	if kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); kind != "" {
		out["mimetype"] = kind
	}
	return out, nil
}
