package testbed

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// debianBudget is for the base system of a Debian.
const debianBudget = 5 * time.Minute

// Debian returns the directory of a small Debian, debian and suffix in the
// [Cache], with packages besides. Where it is not there yet, debootstrap makes
// it and finish, which may be nil, completes it. It needs root.
func Debian(t testing.TB, suffix, release string, packages []string, finish func(root string)) (root string) {
	t.Helper()
	fetching.Lock()
	defer fetching.Unlock()
	root = filepath.Join(Cache(t), "debian"+suffix)
	if _, err := os.Stat(root); err == nil {
		return root
	}
	Root(t, "to make a Debian with debootstrap")
	debootstrap := Program(t, "debootstrap")
	next, err := os.MkdirTemp(filepath.Dir(root), "debian-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(next)
	ctx, cancel := context.WithTimeout(t.Context(), debianBudget)
	defer cancel()
	distribution(ctx, t, next, debootstrap, "--variant=minbase", "--include="+strings.Join(packages, ","), release, next, Mirror(t))
	if finish != nil {
		finish(next)
	}
	if err := os.Chmod(next, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, root); err != nil {
		t.Fatal(err)
	}
	return root
}

// Mirror is where this system gets its own packages.
func Mirror(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").Output()
	for uri := range strings.FieldsSeq(string(out)) {
		if !strings.Contains(uri, "security") {
			return strings.TrimSuffix(uri, "/")
		}
	}
	Missing(t, "a Debian archive: %v", err)
	return ""
}
