package assisted

import (
	"slices"
	"testing"
)

func TestControlPlaneIsAsLargeAsAsked(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		asked, masters, workers int
		ok                      bool
	}{
		{"as many as asked", 3, 3, 2, true},
		{"five", 5, 5, 0, true},
		{"one too few", 4, 3, 2, false},
		{"one too many", 3, 4, 0, false},
		{"a single node", 1, 1, 0, true},
		{"a single node with a worker", 1, 1, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &cluster{ControlPlaneCount: tt.asked, Hosts: slices.Concat(
				slices.Repeat([]*host{{Role: "master"}}, tt.masters), slices.Repeat([]*host{{Role: "worker"}}, tt.workers))}
			got := table{}
			c.validateCount(got)
			if got.ok("sufficient-masters-count") != tt.ok {
				t.Errorf("%+v", got)
			}
		})
	}
}
