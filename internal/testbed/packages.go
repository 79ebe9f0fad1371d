package testbed

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fetchBudget is for all packages of one call.
const fetchBudget = 90 * time.Second

var (
	fetching sync.Mutex
	instLine = regexp.MustCompile(`(?m)^Inst (\S+)`)
)

// Packages returns a directory with packages of the distribution, and with
// those that they need and this machine lacks, unpacked: from the [Cache], or
// from the distribution's archive. Nothing is installed. The C library stays the
// machine's, for it belongs to the machine's loader. The file version holds the
// version of the first package. It is safe for concurrent use.
func Packages(t testing.TB, names ...string) (root string) {
	t.Helper()
	fetching.Lock()
	defer fetching.Unlock()
	root = filepath.Join(Cache(t), strings.Join(names, "+"))
	if _, err := os.Stat(root); err != nil {
		unpack(t, root, names)
	}
	return root
}

// unpack makes root, which appears whole or not at all.
func unpack(t testing.TB, root string, names []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fetchBudget)
	defer cancel()
	dir, err := os.MkdirTemp(filepath.Dir(root), "unpacking-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	plan := distribution(ctx, t, dir, "apt-get", append([]string{"install", "--simulate", "--no-install-recommends"}, names...)...)
	wanted := slices.Clone(names)
	for _, m := range instLine.FindAllStringSubmatch(plan, -1) {
		if !slices.Contains(append(names, "libc6", "libc-bin"), m[1]) {
			wanted = append(wanted, m[1])
		}
	}
	distribution(ctx, t, dir, "apt-get", append([]string{"download"}, wanted...)...)
	distribution(ctx, t, dir, "sh", "-ec", `for deb in *.deb; do dpkg-deb -x "$deb" root; done; dpkg-deb -f "$0"_*.deb Version >root/version`, names[0])
	if err := os.Rename(filepath.Join(dir, "root"), root); err != nil {
		if _, err := os.Stat(root); err != nil { // no other process was faster
			t.Fatal(err)
		}
	}
}

// distribution runs a command of the distribution's, without which nothing can
// be fetched.
func distribution(ctx context.Context, t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		Missing(t, "packages of the distribution: %s %s: %v\n%s", name, strings.Join(args, " "), err, &complaints)
	}
	return string(out)
}
