// Package testbed is what tests need of the machine that they run on: programs,
// rights, packages of the distribution, the reference data. What is missing is
// named, and the test skipped; in CI (CI=true) nothing may be missing, and the
// test fails. No test skips by itself.
package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Missing ends a test for what this machine lacks.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("missing, and this is CI: "+format, args...)
	}
	note(t.Name(), fmt.Sprintf(format, args...))
	t.Skipf("missing: "+format, args...)
}

// notes is the variable that names the file for what was missing.
const notes = "SLIPWAY_TEST_MISSING"

// note has `make test` tell of it at its end: go test says nothing of tests that
// it skipped. Where no file is named, or this user may not write it, -v does.
func note(test, what string) {
	f, err := os.OpenFile(os.Getenv(notes), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	what, _, _ = strings.Cut(what, "\n")
	fmt.Fprintf(f, "%s\t%s\n", what, test)
}

// Program returns the path of a program.
func Program(t testing.TB, name string) (path string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, "program %s: %v", name, err)
	}
	return path
}

// Root ends a test that is not run by root, which it needs for what.
func Root(t testing.TB, what string) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "root's rights: %s", what)
	}
}

// reference is the variable that names the folder of reference data.
const reference = "SLIPWAY_REFERENCE"

// Referenced reports whether the reference data is here.
func Referenced() bool { return os.Getenv(reference) != "" }

// Reference returns the path of something in the reference data: official API
// schemas, conformance cases, drills.
func Reference(t testing.TB, elem ...string) string {
	t.Helper()
	if !Referenced() {
		Missing(t, "reference data: %s names no folder", reference)
	}
	return filepath.Join(append([]string{os.Getenv(reference)}, elem...)...)
}

// Cache is the directory for what tests fetch: $SLIPWAY_TEST_CACHE, else
// slipway-test in the user's cache directory. It exists.
func Cache(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("SLIPWAY_TEST_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			Missing(t, "a directory for a cache: %v; set SLIPWAY_TEST_CACHE", err)
		}
		dir = filepath.Join(user, "slipway-test")
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
