package plan

import (
	"encoding/json"
	"io"
	"runtime"
	"testing"
	"time"
)

// The budget of one plan of 10,000 nodes, on one core.
const (
	mostTime   = time.Second
	mostMemory = 150 << 20 // bytes, all that was allocated
)

// BenchmarkPlan10000 plans for 10,000 nodes whose machines all exist, writes
// the plan as JSON and compares it with itself. It fails beyond the budget.
func BenchmarkPlan10000(b *testing.B) {
	c := cluster(5, 9995)
	o := whole(c)
	b.ReportAllocs()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		p := Make(c, served(c), o)
		if p.Changed() || len(p.Changes) != 10003 || Moved(p, p) != nil {
			b.Fatal(p.Summary())
		}
		if err := json.NewEncoder(io.Discard).Encode(p); err != nil {
			b.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := b.Elapsed() / time.Duration(b.N); each > mostTime {
		b.Errorf("%v for a plan, more than %v", each, mostTime)
	}
	if each := (after.TotalAlloc - before.TotalAlloc) / uint64(b.N); each > mostMemory {
		b.Errorf("%d MiB for a plan, more than %d", each>>20, mostMemory>>20)
	}
}
