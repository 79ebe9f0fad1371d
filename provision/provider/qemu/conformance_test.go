package qemu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/process"
	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/providertest"
)

// lean asks for machines as they are asked of it and starts them with little
// memory, for hosts that have little; and stores images that boot.
type lean struct{ *Provider }

const leanMemory = 64 // MiB

func (l lean) Ensure(ctx context.Context, m provider.Machine) (provider.Machine, error) {
	asked := m.Memory
	m.Memory = leanMemory
	got, err := l.Provider.Ensure(ctx, m)
	if got.Memory == leanMemory {
		got.Memory = asked
	}
	return got, err
}

func (l lean) Put(ctx context.Context, img provider.Image, places []string, progress func(int64)) (string, error) {
	content, err := os.ReadFile(img.Path)
	if err != nil {
		return "", err
	}
	copy(content[firstDescriptor*sectorSize:], elTorito)
	sum := sha256.Sum256(content)
	img.SHA256 = hex.EncodeToString(sum[:])
	if err := os.WriteFile(img.Path, content, 0o600); err != nil {
		return "", err
	}
	return l.Provider.Put(ctx, img, places, progress)
}

// world is the suite's view of a directory of machines that are on no network.
func world(t *testing.T) providertest.World {
	needQEMU(t)
	dir := directoryOf(t)
	var last *Provider
	open := func() provider.Provider {
		last = opened(t, dir)
		return lean{last}
	}
	return providertest.World{
		Open:            open,
		Machines:        func() []string { return listed(t, dir) },
		Running:         func(id string) bool { return len(processes(t, id)) > 0 },
		AddForeign:      func(m provider.Machine) { addForeign(t, dir, m) },
		LoseCreateReply: func(carriedOut bool) { crashOnce(t, last, carriedOut) },
	}
}

func TestConformance(t *testing.T) { providertest.Run(t, world) }

func opened(t *testing.T, dir string) *Provider {
	t.Helper()
	return openedOn(t, dir, networkUser)
}

func openedOn(t *testing.T, dir string, n Network) *Provider {
	t.Helper()
	p, err := Open(Config{Dir: dir, Accel: qemu.TCG, Network: n}, Options{Lookup: os.LookupEnv})
	if err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, impatient)
	return p
}

// impatient keeps the race detector from waiting a second at each exit.
const impatient = "GORACE=atexit_sleep_ms=0"

// listed are the machines there are, whoever made them.
func listed(t *testing.T, dir string) (ids []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "machines"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids
}

// processes are those of QEMU that have the text in an argument.
func processes(t *testing.T, text string) []process.ID {
	t.Helper()
	found, err := process.List(func(args []string) bool {
		return len(args) > 0 && filepath.Base(args[0]) == qemu.Program && slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, text) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// addForeign runs a machine of somebody else from the directory that m's is to
// have.
func addForeign(t *testing.T, dir string, m provider.Machine) {
	t.Helper()
	at := filepath.Join(dir, "machines", m.ID)
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(qemu.Program, "-machine", "none", "-nodefaults", "-display", "none", "-name", m.Name, "-qmp", "unix:"+at+"/qmp.sock,server=on,wait=off")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// crashOnce ends the next Ensure of p as a crash would: after the machine
// stands, or with it half made.
func crashOnce(t *testing.T, p *Provider, carriedOut bool) {
	t.Helper()
	if !carriedOut {
		if err := os.MkdirAll(filepath.Join(p.machines(), ".new"), 0o700); err != nil {
			t.Fatal(err)
		}
		return
	}
	p.made = func() error {
		p.made = func() error { return nil }
		return errors.New("crash")
	}
}

// directoryOf is a directory whose path is short enough for sockets. What runs
// of it ends with the test.
func directoryOf(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sq")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, id := range runs(t, dir) {
			if err := id.End(context.Background(), 10*time.Second); err != nil {
				t.Error(err)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// runs lists supervisors and machines of a directory.
func runs(t *testing.T, dir string) []process.ID {
	t.Helper()
	found, err := process.List(func(args []string) bool {
		return slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, dir) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
