package loadbalancer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
)

// A Version is a version of haproxy: 2.6.12.
type Version struct{ Major, Minor, Patch int }

// Oldest is the oldest version whose configuration language we write.
var Oldest = Version{2, 4, 0}

// Less reports whether v is older than w.
func (v Version) Less(w Version) bool {
	if v.Major != w.Major {
		return v.Major < w.Major
	}
	if v.Minor != w.Minor {
		return v.Minor < w.Minor
	}
	return v.Patch < w.Patch
}

// String returns v as haproxy prints it.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// A Binary is an haproxy program of this host.
type Binary struct {
	Path    string // absolute
	Version Version
}

const advice = "apt-get install haproxy"

func tooOld(v Version) error {
	return hint.With(fmt.Errorf("haproxy %s is older than %s", v, Oldest), advice)
}

// Find looks for haproxy in PATH and where distributions install it, and asks
// for its version. One older than [Oldest] is an error.
func Find(ctx context.Context) (Binary, error) {
	path, err := lookPath()
	if err != nil {
		return Binary{}, hint.With(err, advice)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "-v").Output()
	if err != nil {
		return Binary{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	v, err := parseVersion(string(out))
	if err != nil {
		return Binary{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	if v.Less(Oldest) {
		return Binary{}, tooOld(v)
	}
	return Binary{path, v}, nil
}

// binaries is where haproxy is looked for: /usr/sbin is in few people's PATH.
var binaries = []string{"haproxy", "/usr/sbin/haproxy", "/usr/local/sbin/haproxy"}

func lookPath() (string, error) {
	for _, name := range binaries {
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", errors.New("haproxy is not installed")
}

var versionForm = regexp.MustCompile(`(?m)^HA-?Proxy version (\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?`)

func parseVersion(out string) (Version, error) {
	m := versionForm.FindStringSubmatch(out)
	if m == nil {
		return Version{}, errors.New("no version in its answer")
	}
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	return Version{number(m[1]), number(m[2]), number(m[3])}, nil
}

// Check has haproxy read the configuration file without running it. The error
// carries the lines in which haproxy says what is wrong. haproxy notices no
// busy port, missing address or short file limit here.
func (b Binary) Check(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.Path, "-c", "-f", file)
	cmd.Dir = filepath.Dir(file)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Errorf("check %s: haproxy -c: %w", file, context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("check %s: haproxy -c: %w: %s", file, err, alerts(out))
	}
	return nil
}

// alerts picks haproxy's [ALERT] lines, or all it said when there are none.
func alerts(out []byte) string {
	var found []string
	for line := range bytes.Lines(out) {
		if bytes.Contains(line, []byte("[ALERT]")) {
			found = append(found, strings.TrimSpace(string(line)))
		}
	}
	if found == nil {
		return strings.TrimSpace(string(out))
	}
	return strings.Join(found, "; ")
}
