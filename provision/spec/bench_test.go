package spec

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// BenchmarkLoad reads a spec of five nodes, as `slipway validate` does.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if s, diags, _ := Load([]string{"../../examples/proxmox-ha/cluster.hcl"}, known); s == nil {
			b.Fatal(diags)
		}
	}
}

// many is a spec of five control plane nodes and n workers in blocks of 500,
// each worker with attributes of its own.
func many(n int) string {
	text := strings.NewReplacer(`192.0.2.0/24`, `10.0.0.0/16`, `192.0.2.1"`, `10.0.0.1"`, `192.0.2.210`, `10.0.0.2`,
		`{ count = 3 }`, `{ count = 5 }`).Replace(valid)
	var blocks strings.Builder
	for i := range n / 500 {
		fmt.Fprintf(&blocks, "  machines \"worker%d\" {\n    count  = 500\n    memory = 16384 + count.index\n    labels = { rack = \"r${count.index %% 40}\" }\n  }\n", i)
	}
	return strings.Replace(text, "  machines \"worker\" { count = 2 }\n", blocks.String(), 1)
}

// BenchmarkLoadMany reads a spec of 10,000 workers. The bytes reported are
// those that stay, the spec itself.
func BenchmarkLoadMany(b *testing.B) {
	opts := known
	opts.WorkDir = b.TempDir()
	write(b, opts.WorkDir, "cluster.hcl", many(10000))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var s *Spec
	for b.Loop() {
		loaded, diags, _ := Load([]string{"cluster.hcl"}, opts)
		if s = loaded; s == nil || len(s.Clusters[0].Nodes) != 10005 {
			b.Fatal(said(diags)[0])
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc), "live-bytes")
	runtime.KeepAlive(s)
}
