package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
)

// fetchTime bounds the download of all packages, 32 MB.
const fetchTime = 5 * time.Minute

// A source is the unpacked packages that images are made of.
type source struct {
	kernel  string // path of the bzImage
	modules string // directory of its modules
	root    string // of everything else
}

var kernelPackage = regexp.MustCompile(`(?m)^  Depends: (linux-image-\S+)$`)

// fetch returns the packages, from the cache or from the distribution's
// archive.
func fetch(ctx context.Context, cache string) (source, error) {
	out, err := run(ctx, "", "apt-cache", "depends", "linux-image-cloud-amd64")
	if err != nil {
		return source{}, hint.With(err, "real machines boot the kernel of Debian 12: there, `apt-get update` first; elsewhere rehearse with simulated machines")
	}
	match := kernelPackage.FindStringSubmatch(out)
	if match == nil {
		return source{}, errors.New("linux-image-cloud-amd64 names no kernel package")
	}
	root := filepath.Join(cache, match[1]+"+efi")
	if _, err := os.Stat(root); err != nil {
		if err := download(ctx, root, match[1], "isolinux", "syslinux-common", "grub-efi-amd64-bin", "mtools"); err != nil {
			return source{}, err
		}
	}
	version := strings.TrimPrefix(match[1], "linux-image-")
	s := source{kernel: filepath.Join(root, "boot/vmlinuz-"+version), modules: filepath.Join(root, "lib/modules", version, "kernel"), root: root}
	_, err = os.Stat(s.kernel)
	return s, err
}

// download unpacks packages into root, which appears whole or not at all.
func download(ctx context.Context, root string, packages ...string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTime, fmt.Errorf("packages did not arrive within %s", fetchTime))
	defer cancel()
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(root), "unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if _, err := run(ctx, dir, "apt-get", append([]string{"download", "-q"}, packages...)...); err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range archives {
		if _, err := run(ctx, dir, "dpkg-deb", "-x", deb, "root"); err != nil {
			return err
		}
	}
	if err := os.Rename(filepath.Join(dir, "root"), root); err != nil {
		_, missing := os.Stat(root) // somebody else was faster
		return missing
	}
	return nil
}

func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(complaints.String()))
	}
	return string(out), nil
}
