package plan

import (
	"encoding/json"
	"io"
	"testing"
)

// BenchmarkPlan10000 plans for 10,000 nodes whose machines all exist, writes
// the plan as JSON and compares it with itself. docs/benchmarks.md has the
// budget: one second and 150 MB.
func BenchmarkPlan10000(b *testing.B) {
	c := cluster(5, 9995)
	o := whole(c)
	b.ReportAllocs()
	for b.Loop() {
		p := Make(c, served(c), o)
		if p.Changed() || len(p.Changes) != 10003 || Moved(p, p) != nil {
			b.Fatal(p.Summary())
		}
		if err := json.NewEncoder(io.Discard).Encode(p); err != nil {
			b.Fatal(err)
		}
	}
}
