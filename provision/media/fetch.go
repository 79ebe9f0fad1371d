package media

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/internal/process"
	"github.com/slipway-project/slipway/provision/provider"
)

// A Fetcher keeps images in a directory, under their digests. Several
// processes may share it.
type Fetcher struct {
	Dir    string       // made when it is not there
	Client *http.Client // nil: one that heeds HTTPS_PROXY and its kin
	Pace   pace.Pace
}

func (f Fetcher) client() *http.Client { return cmp.Or(f.Client, http.DefaultClient) }

// Size asks how large the image is, in bytes, and so finds early what would
// keep Fetch from working; 0 when the server does not tell. An image that was
// fetched is not looked for.
func (f Fetcher) Size(ctx context.Context, s Source) (int64, error) {
	u, err := s.parse()
	if err != nil {
		return 0, fmt.Errorf("cloud image: %w", err)
	}
	d, err := f.wanted(ctx, s, u)
	if err != nil {
		return 0, fmt.Errorf("cloud image %s: %w", s, err)
	}
	if info, err := os.Stat(f.file(d)); err == nil {
		return info.Size(), nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, f.Pace.Budget(stallLimit), errStalled)
	defer cancel()
	resp, err := get(ctx, f.client(), http.MethodHead, s.URL, 0)
	if err != nil {
		return 0, fmt.Errorf("cloud image %s: %w", s, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("cloud image %s: %w", s.URL, statusError(u, resp))
	}
	return max(0, resp.ContentLength), nil
}

// Fetch returns the image of s, as one of the cluster with that full name,
// fetching what is not in the directory yet. The file stays there, for the
// next cluster. progress may be nil; total is 0 while unknown.
func (f Fetcher) Fetch(ctx context.Context, s Source, owner string, progress func(got, total int64)) (provider.Image, error) {
	img, err := f.fetch(ctx, s, progress)
	if err != nil {
		return img, fmt.Errorf("fetch cloud image %s: %w", s, err)
	}
	img.Name = fmt.Sprintf("slipway-%s-%s%s", owner, img.SHA256[:12], img.Name)
	return img, nil
}

func (f Fetcher) fetch(ctx context.Context, s Source, progress func(got, total int64)) (provider.Image, error) {
	u, err := s.parse()
	if err != nil {
		return provider.Image{}, err
	}
	d, err := f.wanted(ctx, s, u)
	if err != nil {
		return provider.Image{}, err
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return provider.Image{}, err
	}
	if img, err := f.cached(u, d); err == nil {
		return img, nil
	}
	part, err := f.lock(ctx, d)
	if err != nil {
		return provider.Image{}, err
	}
	defer part.Close()
	if img, err := f.cached(u, d); err == nil { // fetched by somebody else meanwhile
		return img, nil
	}
	if err := f.complete(ctx, part, s.URL, d, progress); err != nil {
		return provider.Image{}, err
	}
	if err := errors.Join(os.Rename(part.Name(), f.file(d)), atomicfile.SyncDir(f.Dir)); err != nil {
		return provider.Image{}, err
	}
	return f.cached(u, d)
}

func (f Fetcher) file(d digest) string { return filepath.Join(f.Dir, d.algorithm+"-"+d.hex) }

// cached looks at the whole file: disks lose bits, too. Name is its ending.
func (f Fetcher) cached(u *url.URL, d digest) (provider.Image, error) {
	sum, size, err := verify(f.file(d), d)
	if err != nil {
		return provider.Image{}, err
	}
	kind, err := kindOf(f.file(d), path.Ext(u.Path))
	return provider.Image{Name: kind, Path: f.file(d), Size: size, SHA256: sum}, err
}

// kindOf looks at how a file begins: .img is the name of either kind.
func kindOf(name, ending string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 4)
	_, err = io.ReadFull(f, head)
	switch {
	case err == nil && string(head) == "QFI\xfb":
		return ".qcow2", nil
	case err == nil && ending != ".qcow2":
		return ".raw", nil
	}
	return "", errors.Join(fmt.Errorf("%s is no image of that kind", name), err)
}

// lock opens the part of an image that is there already, when nobody else
// fetches it any more.
func (f Fetcher) lock(ctx context.Context, d digest) (*os.File, error) {
	part, err := os.OpenFile(f.file(d)+".part", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := process.Lock(ctx, part); err != nil {
		part.Close()
		return nil, err
	}
	return part, nil
}

// attempts are made to get on before giving up.
const attempts = 5

// complete fetches what is missing of part, and from the beginning when it
// turns out to be of something else.
func (f Fetcher) complete(ctx context.Context, part *os.File, from string, d digest, progress func(got, total int64)) error {
	for try := 1; ; try++ {
		resumed, err := f.resume(ctx, part, from, progress)
		if err == nil {
			_, _, err = verify(part.Name(), d)
		}
		if err == nil {
			return part.Sync()
		}
		if errors.Is(err, errMismatch) {
			err = errors.Join(err, part.Truncate(0))
		}
		switch {
		case errors.Is(err, errMismatch) && !resumed:
			return hint.With(err, "is sha256 that of this image? if none is given, the image has just been replaced: run it again")
		case final(err) || try == attempts || ctx.Err() != nil:
			return err
		}
		if err := f.Pace.Wait(ctx, time.Duration(try)*2*time.Second); err != nil {
			return err
		}
	}
}

// final reports an error that another attempt meets again.
func final(err error) bool {
	refused := new(refusal)
	return errors.As(err, &refused) && !refused.passes || errors.Is(err, unix.ENOSPC)
}

// refusal is an answer that is no image.
type refusal struct {
	host, status string
	passes       bool // perhaps not the next time
}

func (r *refusal) Error() string { return r.host + " answers " + r.status }

func statusError(u *url.URL, resp *http.Response) error {
	r := &refusal{u.Host, resp.Status, resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests}
	if resp.StatusCode == http.StatusNotFound {
		return hint.With(r, "look at its directory with a browser; images move when releases do")
	}
	return r
}
