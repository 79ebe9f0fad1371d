package kube

import (
	"context"
	"slices"
	"time"
)

// An Event is something that the cluster noted about one of its objects.
type Event struct {
	Last      time.Time `json:"last"` // when it was last seen
	Count     int       `json:"count"`
	Type      string    `json:"type"` // Normal, Warning
	Namespace string    `json:"namespace"`
	Object    string    `json:"object"` // Kind/name
	Reason    string    `json:"reason"`
	Message   string    `json:"message"`
}

type rawEvent struct {
	Metadata struct {
		Namespace string
		Created   time.Time `json:"creationTimestamp"`
	}
	Object struct{ Kind, Name string } `json:"involvedObject"`
	Last   time.Time                   `json:"lastTimestamp"` // of old events; new ones have series
	Count  int
	Type   string
	Reason string
	Text   string `json:"message"`
}

// Events lists the events of all namespaces, oldest first (GET
// /api/v1/events). Clusters keep them for some hours.
func (c *Client) Events(ctx context.Context) ([]Event, error) {
	raw, err := list[rawEvent](ctx, c, "/api/v1/events")
	events := make([]Event, len(raw))
	for i, r := range raw {
		last := r.Last
		if last.IsZero() {
			last = r.Metadata.Created
		}
		events[i] = Event{last, max(r.Count, 1), r.Type, r.Metadata.Namespace, r.Object.Kind + "/" + r.Object.Name, r.Reason, r.Text}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.Last.Compare(b.Last) })
	return events, err
}
