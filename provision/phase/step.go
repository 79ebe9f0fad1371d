package phase

import (
	"context"
	"fmt"
	"time"
)

// A Step is one thing to do. Done, Do and Undo must be safe to repeat.
type Step struct {
	Name  string   // unique: "machine control-0"
	Phase string   // for people: "machines"
	Node  string   // "" when it concerns the whole cluster
	Needs []string // names of the steps that come first

	// Resource names what the step competes for; see Graph.Limits.
	Resource string
	// Budget bounds Do, retries included, and Undo; scaled by the pace. Each
	// call of [Progress] begins it anew, up to Ceiling for the whole step.
	Budget  time.Duration
	Ceiling time.Duration // Budget when that is longer

	// Done reports whether the world is already so; nil: it never is.
	Done func(context.Context) (bool, error)
	// Do makes it so.
	Do func(context.Context) error
	// Undo makes it not so; nil: nothing is left to undo.
	Undo func(context.Context) error
}

// An Error says which step failed.
type Error struct {
	Step, Phase, Node string
	Err               error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Step, e.Err) }
func (e *Error) Unwrap() error { return e.Err }
