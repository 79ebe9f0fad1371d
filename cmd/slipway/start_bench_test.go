package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// These run slipway as whole processes. The budgets are 30 ms for version and
// 50 ms for validate of five nodes (docs/benchmarks.md).

func BenchmarkVersion(b *testing.B) { benchmark(b, "version") }

func BenchmarkValidate(b *testing.B) {
	benchmark(b, "validate", "-f", "../../examples/proxmox-ha/cluster.hcl")
}

func benchmark(b *testing.B, args ...string) {
	b.Helper()
	exe := filepath.Join(b.TempDir(), "slipway")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", exe, ".").CombinedOutput(); err != nil {
		b.Fatalf("build: %v: %s", err, out)
	}
	info, err := os.Stat(exe)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if out, err := exec.Command(exe, args...).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	b.ReportMetric(float64(info.Size())/(1<<20), "MiB")
}
