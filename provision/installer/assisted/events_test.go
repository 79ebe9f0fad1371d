package assisted_test

import (
	"encoding/json"
	"testing"
)

// The service's events are those of the one cluster, in its own words.
func TestEvents(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	ref := w.register(c)
	other := testCluster()
	other.Name, other.Mark.Cluster = "other", "other.lab.test"
	w.register(other)
	raw, err := w.engine.Events(t.Context(), ref)
	w.must(err)
	var events []struct {
		Message   string
		ClusterID string `json:"cluster_id"`
	}
	w.must(json.Unmarshal(raw, &events))
	if len(events) == 0 {
		t.Error("nothing was noted about the registration")
	}
	for _, e := range events {
		if e.ClusterID != ref.ClusterID {
			t.Errorf("%q is of cluster %s", e.Message, e.ClusterID)
		}
	}
}
