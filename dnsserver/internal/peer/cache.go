//go:build servers

package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// fetchBudget is for all packages of one server.
const fetchBudget = 90 * time.Second

// A program is what a package holds, unpacked.
type program struct {
	path      string
	libraries string // for LD_LIBRARY_PATH
	version   string // of the package
}

func cacheDir(t testing.TB) string {
	dir := os.Getenv("SLIPWAY_TEST_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			without(t, fmt.Sprintf("no cache for servers: %v; set SLIPWAY_TEST_CACHE", err))
		}
		dir = filepath.Join(user, "slipway-test")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

var fetching sync.Mutex

// fetch returns the program at path of the package, from the cache or from the
// distribution. Where there is none, the test is skipped.
func fetch(t testing.TB, pkg, path string) program {
	t.Helper()
	fetching.Lock()
	defer fetching.Unlock()
	root := filepath.Join(cacheDir(t), pkg)
	if _, err := os.Stat(root); err != nil {
		if err := unpack(t.Context(), pkg, root); err != nil {
			without(t, fmt.Sprintf("no %s to test with: %v", pkg, err))
		}
	}
	version, err := os.ReadFile(filepath.Join(root, "version"))
	if err != nil {
		t.Fatal(err)
	}
	libraries, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-*"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(root, "lib/*-linux-*"))
	if err != nil {
		t.Fatal(err)
	}
	return program{filepath.Join(root, path), strings.Join(append(libraries, more...), ":"), strings.TrimSpace(string(version))}
}

// unpack puts the package, and the packages it needs that this host lacks,
// into the directory root, which appears whole or not at all.
func unpack(ctx context.Context, pkg, root string) error {
	ctx, cancel := context.WithTimeout(ctx, fetchBudget)
	defer cancel()
	packages, err := missing(ctx, pkg)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(root), pkg+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if _, err := command(ctx, dir, "apt-get", append([]string{"download"}, packages...)...); err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	unpacked := filepath.Join(dir, "root")
	for _, deb := range archives {
		if _, err := command(ctx, dir, "dpkg-deb", "-x", deb, unpacked); err != nil {
			return err
		}
	}
	version, err := command(ctx, dir, "sh", "-c", "dpkg-deb -f "+pkg+"_*.deb Version")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(unpacked, "version"), []byte(version), 0o644); err != nil {
		return err
	}
	if err := os.Rename(unpacked, root); err != nil {
		_, missing := os.Stat(root) // another test was faster
		return missing
	}
	return nil
}

var instLine = regexp.MustCompile(`(?m)^Inst (\S+)`)

// missing lists pkg and those packages of libraries that installing it would
// bring. The C library stays the host's: it belongs to the host's loader.
func missing(ctx context.Context, pkg string) ([]string, error) {
	out, err := command(ctx, "", "apt-get", "install", "--simulate", "--no-install-recommends", pkg)
	if err != nil {
		return nil, err
	}
	packages := []string{pkg}
	for _, m := range instLine.FindAllStringSubmatch(out, -1) {
		name := m[1]
		library := strings.HasPrefix(name, "lib") || strings.HasSuffix(name, "-libs")
		if library && name != "libc6" && name != "libc-bin" {
			packages = append(packages, name)
		}
	}
	return packages, nil
}

func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, complaints.String())
	}
	return string(out), nil
}

// without skips a test that lacks its server; in CI that is a failure.
func without(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
