package qemu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
)

// imageName is a plain file name.
var imageName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,250}\.iso$`)

// Put checks that img is whole and boots, and copies it, by reference where
// the file system can. Its name says its digest: what is there in full is not
// copied again.
func (p *Provider) Put(ctx context.Context, img provider.Image, _ []string, progress func(sent int64)) (string, error) {
	if progress == nil {
		progress = func(int64) {}
	}
	if !imageName.MatchString(img.Name) {
		return "", fmt.Errorf("store image %q: its name is not a plain file name that ends in .iso", img.Name)
	}
	if err := p.put(ctx, img, progress); err != nil {
		return "", fmt.Errorf("store image %s: %w", img.Name, err)
	}
	return img.Name, nil
}

func (p *Provider) put(ctx context.Context, img provider.Image, progress func(int64)) error {
	if err := digest(ctx, img.Path, img, progress); err != nil {
		return err
	}
	if err := bootable(img.Path); err != nil {
		return hint.With(err, "it is to be the discovery image of the installer")
	}
	kept := p.image(img.Name)
	if digest(ctx, kept, img, func(int64) {}) == nil {
		return nil
	}
	return p.locked(ctx, func() error { return p.keep(img.Path, kept) })
}

// keep copies an image in place of what has its name.
func (p *Provider) keep(path, kept string) error {
	if err := os.MkdirAll(p.images(), 0o700); err != nil {
		return err
	}
	if err := os.Remove(kept); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return copyOnce(path, kept)
}

// digest reads the file whole and compares it with what img says.
func digest(ctx context.Context, path string, img provider.Image, progress func(int64)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(hash, counter{ctx, new(int64), progress}), f)
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); n != img.Size || got != img.SHA256 {
		return fmt.Errorf("%s is not whole: %d bytes with digest %.12s, not %d with %.12s", path, n, got, img.Size, img.SHA256)
	}
	return nil
}

// A counter tells of progress, and ends with its context.
type counter struct {
	ctx      context.Context
	sum      *int64
	progress func(int64)
}

func (c counter) Write(b []byte) (int, error) {
	*c.sum += int64(len(b))
	c.progress(*c.sum)
	return len(b), context.Cause(c.ctx)
}

// copyOnce copies a file to where nothing is, or does nothing. A copy shares
// its blocks with the original where the file system can (copy_file_range(2)).
func copyOnce(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) // gone once it is renamed
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Rename(out.Name(), to)
}

// Drop removes an image; machines that have it in their tray keep it open
// until they are off.
func (p *Provider) Drop(_ context.Context, ref string) error {
	if !imageName.MatchString(ref) {
		return fmt.Errorf("drop image %q: that is not the name of an image", ref)
	}
	if err := os.Remove(p.image(ref)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("drop image: %w", err)
	}
	p.tidy()
	return nil
}

var digestSuffix = regexp.MustCompile(`^[0-9a-f]{12}\.iso$`)

// Images lists the images whose name has the full name of owner's cluster.
func (p *Provider) Images(_ context.Context, owner provider.Mark) (refs []string, err error) {
	entries, err := os.ReadDir(p.images())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list images: %w", err)
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), "slipway-"+owner.Cluster+"-")
		if ours && digestSuffix.MatchString(rest) {
			refs = append(refs, e.Name())
		}
	}
	return refs, nil
}
