package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-project/slipway/internal/hint"
)

// A Host is the system that is installed on. Tests give it another root and
// another way to run commands.
type Host struct {
	Root string // before every path; "" on a real host
	// Run runs a command and returns what it printed; nil: os/exec.
	Run func(ctx context.Context, name string, args ...string) (string, error)
}

func (h Host) path(p string) string { return filepath.Join("/", h.Root, p) }

func (h Host) run(ctx context.Context, name string, args ...string) (string, error) {
	if h.Run != nil {
		return h.Run(ctx, name, args...)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, lastLine(string(out)))
	}
	return string(out), err
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// has reports whether the host has a program.
func (h Host) has(name string) bool {
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if info, err := os.Stat(filepath.Join(h.path(dir), name)); err == nil && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

// A family is how distributions install packages.
type family string

const (
	debian family = "debian"
	redhat family = "rhel"
)

// family reads os-release(5).
func (h Host) family() (family, error) {
	text, err := os.ReadFile(h.path("/etc/os-release"))
	if err != nil {
		return "", fmt.Errorf("which system this is: %w", err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key == "ID" || key == "ID_LIKE" {
			names = append(names, strings.Fields(strings.Trim(value, `"'`))...)
		}
	}
	for _, f := range []family{debian, redhat} {
		if slices.Contains(names, string(f)) {
			return f, nil
		}
	}
	if slices.Contains(names, "fedora") || slices.Contains(names, "centos") {
		return redhat, nil
	}
	return "", hint.With(errors.New("this system is none of the Debian or Red Hat families: "+strings.Join(names, " ")),
		"install haproxy yourself, and run `slipway serve` as your init system does services")
}
