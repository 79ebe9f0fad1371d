package media

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
)

// A digest is what the content of a file must have.
type digest struct{ algorithm, hex string }

var hashes = map[string]func() hash.Hash{"sha256": sha256.New, "sha512": sha512.New}

// wanted is the digest of the image at u: the given one, or the published one.
func (f Fetcher) wanted(ctx context.Context, s Source, u *url.URL) (digest, error) {
	if s.SHA256 != "" {
		return digest{"sha256", strings.ToLower(s.SHA256)}, nil
	}
	list := u.ResolveReference(&url.URL{Path: "SHA512SUMS"})
	text, err := f.small(ctx, list)
	if err != nil {
		return digest{}, fmt.Errorf("its checksum: %w", err)
	}
	sum, err := find(text, path.Base(u.Path))
	if err != nil {
		return digest{}, fmt.Errorf("%s: %w", list, err)
	}
	return digest{"sha512", sum}, nil
}

// sumsLimit is far beyond the size of a list of checksums.
const sumsLimit = 1 << 20

// small fetches a text over https all the way: what it says is trusted.
func (f Fetcher) small(ctx context.Context, u *url.URL) (string, error) {
	client := *f.client()
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if req.URL.Scheme != "https" || len(via) > 10 {
			return fmt.Errorf("it is redirected to %s", req.URL)
		}
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, f.Pace.Budget(stallLimit), errStalled)
	defer cancel()
	resp, err := get(ctx, &client, http.MethodGet, u.String(), 0)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", statusError(u, resp)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, sumsLimit))
	return string(text), err
}

// find returns the digest of a file in the output of sha512sum.
func find(sums, name string) (string, error) {
	for line := range strings.Lines(sums) {
		fields := strings.Fields(line)
		if len(fields) != 2 || strings.TrimPrefix(fields[1], "*") != name {
			continue
		}
		if raw, err := hex.DecodeString(fields[0]); err != nil || len(raw) != sha512.Size {
			return "", fmt.Errorf("the checksum of %s is none", name)
		}
		return strings.ToLower(fields[0]), nil
	}
	return "", fmt.Errorf("there is no checksum of %s", name)
}

// errMismatch is a file that is whole and another.
var errMismatch = errors.New("its checksum is another")

// verify returns the SHA-256 digest of a file whose content has digest d.
func verify(name string, d digest) (sum string, size int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	ours, theirs := sha256.New(), hashes[d.algorithm]()
	size, err = io.Copy(io.MultiWriter(ours, theirs), f)
	if got := hex.EncodeToString(theirs.Sum(nil)); err == nil && got != d.hex {
		err = fmt.Errorf("%w: %s, not %s", errMismatch, got, d.hex)
	}
	return hex.EncodeToString(ours.Sum(nil)), size, err
}
