package kube

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Events come in the order in which they were last seen; those of newer
// reporters have no such time, but that of their creation.
func TestEvents(t *testing.T) {
	client := serve(t, map[string]string{"/api/v1/events": items(
		`{"metadata":{"namespace":"b","creationTimestamp":"2026-11-21T10:00:00Z"},"involvedObject":{"kind":"Pod","name":"p"},
			"type":"Warning","reason":"BackOff","message":"again","lastTimestamp":"2026-11-21T10:05:00Z","count":7}`,
		`{"metadata":{"namespace":"a","creationTimestamp":"2026-11-21T10:01:00Z"},"involvedObject":{"kind":"Node","name":"n"},
			"type":"Normal","reason":"Ready","message":"it is","lastTimestamp":null}`)})
	got, err := client.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := func(minute int) time.Time { return time.Date(2026, 11, 21, 10, minute, 0, 0, time.UTC) }
	want := []Event{
		{at(1), 1, "Normal", "a", "Node/n", "Ready", "it is"},
		{at(5), 7, "Warning", "b", "Pod/p", "BackOff", "again"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
