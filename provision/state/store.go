package state

import (
	"context"
	"fmt"
	"time"
)

// A Store keeps the state of clusters, by full name.
type Store interface {
	// Open takes the cluster for one run and returns its journal, new or as
	// the last run left it. While another run has it, the error is a
	// [HeldError].
	Open(ctx context.Context, cluster string, who Holder) (Journal, error)
	// Read returns the document without taking the cluster; a cluster that
	// was never made has the zero document.
	Read(ctx context.Context, cluster string) (Document, error)
	// List names the clusters that have state.
	List(ctx context.Context) ([]string, error)
}

// A Journal is the state of one cluster, held by one run. It is safe for
// concurrent use.
type Journal interface {
	// Append makes r durable, then visible in Document. Seq and Time are
	// filled in. After an error nothing more may be appended.
	Append(r Record) error
	// Document is what all records add up to.
	Document() Document
	// Describe tells others what the holder is doing now.
	Describe(step string)
	// Remove deletes the state and ends the journal.
	Remove() error
	// Close gives the cluster up.
	Close() error
}

// A Holder is the run that has a cluster.
type Holder struct {
	Verb  string    `json:"verb"` // up, down
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
	Step  string    `json:"step,omitempty"`
}

// A HeldError says that another run has the cluster.
type HeldError struct {
	Cluster string
	Holder  Holder
}

func (e *HeldError) Error() string {
	h := e.Holder
	if h.PID == 0 {
		return fmt.Sprintf("cluster %s is held by another run", e.Cluster)
	}
	at := ""
	if h.Step != "" {
		at = ", now at step " + h.Step
	}
	return fmt.Sprintf("cluster %s is held by `slipway %s` (pid %d on %s, for %s%s)",
		e.Cluster, h.Verb, h.PID, h.Host, time.Since(h.Since).Round(time.Second), at)
}
