//go:build servers

package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
)

// A program is what a package holds, unpacked.
type program struct {
	path      string
	libraries string // for LD_LIBRARY_PATH
	version   string // of the package
}

// fetch returns the program at path of the package.
func fetch(t testing.TB, pkg, path string) program {
	t.Helper()
	root := testbed.Packages(t, pkg)
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
