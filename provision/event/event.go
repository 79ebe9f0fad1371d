// Package event says what is happening: typed, versioned events through one
// [Sink]. The same events feed the progress views and `--progress json`.
package event

import "time"

// Version is the version of the JSON event stream; its first line names it.
const Version = 1

// Kind tells what an Event reports.
type Kind string

// The kinds of events, in the order a run meets them.
const (
	RunStart   Kind = "run.start"   // Verb, Cluster
	RunDone    Kind = "run.done"    // Verb, Seconds, Error
	PhaseStart Kind = "phase.start" // Phase
	PhaseDone  Kind = "phase.done"  // Phase, Seconds
	StepStart  Kind = "step.start"  // Phase, Step, Node
	StepSkip   Kind = "step.skip"   // Phase, Step, Node: the world is already so
	StepRetry  Kind = "step.retry"  // Phase, Step, Node, Error: tried again after a transient error
	StepDone   Kind = "step.done"   // Phase, Step, Node, Seconds
	StepFailed Kind = "step.failed" // Phase, Step, Node, Seconds, Error
	Stage      Kind = "stage"       // Node (empty: the cluster), Stage, Percent: observed progress
	Note       Kind = "note"        // Message: worth knowing
	Warning    Kind = "warning"     // Message, Hint, Node: worth acting on
)

// An Event is one thing that happened. Fields that a kind does not list are
// empty. No field ever holds a secret.
type Event struct {
	Time    time.Time `json:"time"`
	Kind    Kind      `json:"kind"`
	Verb    string    `json:"verb,omitempty"`
	Cluster string    `json:"cluster,omitempty"` // full cluster name
	Phase   string    `json:"phase,omitempty"`
	Step    string    `json:"step,omitempty"`
	Node    string    `json:"node,omitempty"`
	Stage   string    `json:"stage,omitempty"`
	Percent int       `json:"percent,omitempty"` // 0-100
	Message string    `json:"message,omitempty"`
	Hint    string    `json:"hint,omitempty"` // what to do or to run
	Error   string    `json:"error,omitempty"`
	Seconds float64   `json:"seconds,omitempty"`
}

// A Sink takes events. Emit must be safe for concurrent use and quick.
type Sink interface{ Emit(Event) }

// Func makes a Sink of a function.
type Func func(Event)

// Emit calls f.
func (f Func) Emit(e Event) { f(e) }

// Discard drops every event.
var Discard Sink = Func(func(Event) {})

// Clock stamps events that have no time and passes them on.
func Clock(to Sink) Sink {
	return Func(func(e Event) {
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		to.Emit(e)
	})
}
