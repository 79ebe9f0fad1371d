//go:build servers

package qemu

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/rehearsal/image"
)

// Kernels on which tests run often have bridges that filter no VLANs. That of
// Debian does: a virtual machine runs these tests of ours.
func TestVLANsOnAKernelThatFilters(t *testing.T) {
	for _, tool := range []string{qemu.Program, "xorriso", "apt-get", "dpkg-deb"} {
		testbed.Program(t, tool)
	}
	dir := directoryOf(t)
	program := filepath.Join(dir, "init")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "filtering", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	base, err := image.Build(t.Context(), program, testbed.Cache(t), filepath.Join(dir, "base"), "bridge", "tun")
	if err != nil {
		t.Fatal(err)
	}
	v := qemu.VM{Name: "guest", UUID: uuid.New(), CPUs: 1, Memory: 512, Accel: qemu.TCG, Dir: dir, Media: filepath.Join(dir, "test.iso")}
	if err := base.Write(t.Context(), v.Media, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, qemu.Program, v.Args()...).CombinedOutput()
	said, _ := os.ReadFile(v.Serial())
	if err != nil || strings.Count(string(said), "\n--- PASS: ") != strings.Count(ownKernelTests, "Test") {
		t.Errorf("%v\n%s\n%s", err, out, said)
	}
}
