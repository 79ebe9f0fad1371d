package loadbalancer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/hint"
)

// install makes a shell script the only haproxy of this test.
func install(t *testing.T, script string) {
	t.Helper()
	before := binaries
	t.Cleanup(func() { binaries = before })
	binaries = []string{filepath.Join(t.TempDir(), "haproxy")}
	if script == "" {
		return
	}
	if err := os.WriteFile(binaries[0], []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestModeChoosesTheBalancer(t *testing.T) {
	tests := []struct {
		name, haproxy string
		mode          Mode
		is            string // the balancer; "": an error
		note          string
	}{
		{"haproxy is there", "echo HAProxy version 2.8.1", "", "haproxy", ""},
		{"haproxy is there, not wanted", "echo HAProxy version 2.8.1", ModeEmbedded, "embedded", ""},
		{"no haproxy", "", ModeAuto, "embedded", "haproxy is not installed: the embedded load balancer serves (apt-get install haproxy)"},
		{"no haproxy, none wanted", "", ModeEmbedded, "embedded", ""},
		{"no haproxy, no other will do", "", ModeHAProxy, "", ""},
		{"haproxy too old", "echo HA-Proxy version 2.2.9", "", "embedded", "haproxy 2.2.9 is older than 2.4.0: the embedded load balancer serves (apt-get install haproxy)"},
		{"haproxy too old, no other will do", "echo HA-Proxy version 2.2.9", ModeHAProxy, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			install(t, tt.haproxy)
			binary, note, err := Choose(t.Context(), tt.mode)
			is := "embedded"
			if binary != nil {
				is = "haproxy"
			}
			if err != nil {
				is = ""
			}
			if is != tt.is || note != tt.note {
				t.Errorf("got %q, %q, %v; want %q, %q", is, note, err, tt.is, tt.note)
			}
		})
	}
}

// A limit of open files that leaves no room for connections is noticed before
// anything starts. It is that of a process of its own.
func TestModeNeedsFiles(t *testing.T) {
	const inside = "LOADBALANCER_TEST_FILES"
	mode := Mode(os.Getenv(inside))
	if mode == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		for mode, limit := range map[Mode]string{ModeHAProxy: "490", ModeEmbedded: "890"} {
			cmd := exec.Command("sh", "-c", `ulimit -n "$1" && exec "$0" -test.run='^TestModeNeedsFiles$'`, self, limit)
			cmd.Env = append(os.Environ(), inside+"="+string(mode))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", mode, err, out)
			}
		}
		return
	}
	install(t, "echo HAProxy version 2.8.1")
	enough := map[Mode]string{ModeHAProxy: "ulimit -Hn 40300", ModeEmbedded: "ulimit -Hn 120300"}[mode]
	if binary, _, err := Choose(t.Context(), mode); err == nil || !strings.Contains(err.Error(), "is too low for a load balancer") || hint.Of(err) != enough {
		t.Errorf("got %v, %v, %q", binary, err, hint.Of(err))
	}
}

// A haproxy that does not work is worse than none, unless no other will do.
func TestRunFallsBack(t *testing.T) {
	install(t, `[ "$1" = -v ] && echo HAProxy version 2.8.1 && exit; echo "[ALERT] broken"; exit 1`)
	_, c := threeNodes(t)
	o := Options{RunDir: t.TempDir()}
	b, note, err := Run(t.Context(), o, c)
	if err != nil {
		t.Fatal(err)
	}
	if b.Name() != "embedded" || !strings.Contains(note, "haproxy does not work here, the embedded load balancer serves: ") || !strings.Contains(note, "[ALERT] broken") {
		t.Errorf("%s, %s", b.Name(), note)
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	c.Mode = ModeHAProxy
	if _, _, err := Run(t.Context(), o, c); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("got %v", err)
	}
}

// A haproxy that a crash left is in the way of an embedded balancer.
func TestEmbeddedTakesThePlaceOfHAProxy(t *testing.T) {
	l := startLab(t)
	o := l.abandon()
	l.config.Mode = ModeEmbedded
	b, _, err := Run(t.Context(), o, l.config)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop(t.Context())
	if found, err := Running(o.Label); err != nil || len(found) > 0 {
		t.Errorf("haproxy is left: %v, %v", found, err)
	}
	if _, err := l.get(); err != nil {
		t.Error(err)
	}
}
