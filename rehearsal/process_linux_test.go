package rehearsal

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/testbed"
)

// start runs the World of cfg in a process of its own.
func start(t *testing.T, cfg Config) *Process {
	t.Helper()
	p, err := Start(timeout(t), cfg, server(t))
	if err != nil && hint.Of(err) != "" {
		testbed.Missing(t, "namespaces: %v (%s)", err, hint.Of(err))
	}
	must(t, err)
	t.Cleanup(func() { p.Stop(timeout(t)) })
	return p
}

// server is this binary as a World's process.
func server(t *testing.T) []string {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	return []string{"env", stage + "=serve", exe}
}

// What is in the environment of whoever starts a World stays outside.
func TestTheEnvironmentStaysOutside(t *testing.T) {
	t.Setenv("SLIPWAY_VAR_pull", "canary")
	p := start(t, example(t))
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.Ready.PID))
	must(t, err)
	if !strings.Contains(string(env), "PATH=") || strings.Contains(string(env), "canary") {
		t.Errorf("the world's environment: %q", env)
	}
}

func TestProgramsEnterTheWorld(t *testing.T) {
	testbed.Program(t, "nsenter")
	p := start(t, example(t))
	argv := append(p.Ready.Enter, "cat", "/etc/resolv.conf")
	out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
	must(t, err)
	if diff := cmp.Diff("nameserver 192.0.2.1\n", string(out)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	must(t, p.Stop(timeout(t)))
	must(t, p.Stop(timeout(t)))
}

func TestControl(t *testing.T) {
	cfg := example(t)
	p := start(t, cfg)
	file := filepath.Join(cfg.Dir, "home", "left")
	must(t, os.WriteFile(file, nil, 0o600))
	control := NewControl(cfg.Dir)
	got, err := control.Residue(timeout(t), []int{p.Ready.PID}, []string{filepath.Dir(file)})
	must(t, err)
	if diff := cmp.Diff([]string{"file " + file}, got); diff != "" {
		t.Errorf("residue: -want +got\n%s", diff)
	}
	hosts, err := control.Hosts(timeout(t))
	must(t, err)
	if len(hosts) != 0 {
		t.Errorf("hosts: %v", hosts)
	}
	must(t, control.Stop(timeout(t)))
	<-p.Done()
	must(t, p.Stop(timeout(t)))
	if _, err := control.Hosts(timeout(t)); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("after Stop: got %v", err)
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	tests := []struct {
		name string
		argv []string
		edit func(*Config)
		want string
	}{
		{"config", server(t), func(c *Config) { c.Services = []netip.Addr{addr("198.51.100.210")} }, "start the world: services address 198.51.100.210: in none of the networks"},
		{"program that dies", []string{"sh", "-c", "echo ouch >&2; exit 3"}, func(*Config) {}, "start the world: ended before it was ready: exit status 3: ouch"},
		{"program that babbles", []string{"sh", "-c", "echo hello"}, func(*Config) {}, "start the world: read its first line: invalid character 'h' looking for beginning of value"},
		{"no program", []string{"/none"}, func(*Config) {}, "start the world: start /none in namespaces of its own: fork/exec /none: no such file or directory"},
		{"no directory", server(t), func(c *Config) { c.Dir = "/none" }, "start the world: open /none/world.log: no such file or directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := example(t)
			tt.edit(&cfg)
			_, err := Start(timeout(t), cfg, tt.argv)
			if hint.Of(err) != "" {
				testbed.Missing(t, "namespaces: %v (%s)", err, hint.Of(err))
			}
			if err == nil || strings.TrimSpace(err.Error()) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestTheWorldEndsWithASignal(t *testing.T) {
	p := start(t, example(t))
	must(t, syscall.Kill(p.Ready.PID, syscall.SIGINT))
	<-p.Done()
	must(t, p.Stop(timeout(t)))
}
