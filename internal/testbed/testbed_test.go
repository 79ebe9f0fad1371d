package testbed

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A stage notes how a test on it ends.
type stage struct {
	testing.TB
	ending string
}

func (s *stage) Helper()      {}
func (s *stage) Name() string { return "TestOnAStage" }

func (s *stage) Fatalf(format string, args ...any) { s.end("fatal", format, args) }
func (s *stage) Skipf(format string, args ...any)  { s.end("skip", format, args) }

func (s *stage) end(how, format string, args []any) {
	s.ending = how + ": " + fmt.Sprintf(format, args...)
	panic(s) // a test goes no further
}

// ending is how a test ends that needs something.
func ending(needs func(t testing.TB)) (how string) {
	s := &stage{}
	defer func() {
		if r := recover(); r != nil && r != any(s) {
			panic(r)
		}
		how = s.ending
	}()
	needs(s)
	return ""
}

func TestWhatIsMissingIsNamedAndInCIAFailure(t *testing.T) {
	t.Setenv(reference, "")
	t.Setenv(notes, "")
	for ci, how := range map[string]string{"": "skip: missing: ", "true": "fatal: missing, and this is CI: "} {
		t.Setenv("CI", ci)
		for want, needs := range map[string]func(testing.TB){
			`program no-such-program: exec: "no-such-program": executable file not found in $PATH`: func(t testing.TB) { Program(t, "no-such-program") },
			"reference data: SLIPWAY_REFERENCE names no folder":                                    func(t testing.TB) { Reference(t, "data") },
			"a kernel of 2042": func(t testing.TB) { Missing(t, "a kernel of %d", 2042) },
		} {
			if got := ending(needs); got != how+want {
				t.Errorf("CI=%s: %q, want %q", ci, got, how+want)
			}
		}
	}
}

func TestWhatIsMissingIsNoted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "missing")
	t.Setenv(notes, file)
	for _, ci := range []string{"", "true"} {
		t.Setenv("CI", ci)
		ending(func(t testing.TB) { Missing(t, "a kernel of %d\nor later", 2042) })
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "a kernel of 2042\tTestOnAStage\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestWhatIsThereIsFound(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(reference, dir)
	t.Setenv("SLIPWAY_TEST_CACHE", filepath.Join(dir, "cache"))
	for want, got := range map[string]string{
		filepath.Join(dir, "data", "x.json"): Reference(t, "data", "x.json"),
		filepath.Join(dir, "cache"):          Cache(t),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if info, err := os.Stat(Cache(t)); err != nil || !info.IsDir() {
		t.Error(err)
	}
	if path := Program(t, "sh"); !filepath.IsAbs(path) {
		t.Errorf("sh is %s", path)
	}
}
