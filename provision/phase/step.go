package phase

import (
	"context"
	"errors"
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
	// Budget bounds Do, retries included, and Undo; scaled by the pace.
	Budget time.Duration

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

// Transient reports whether err may be gone at the next try: some error in
// its chain says so by a method Transient() bool.
func Transient(err error) bool {
	var t interface{ Transient() bool }
	return errors.As(err, &t) && t.Transient()
}

// ErrBudget is the cause of a step's end by time.
var ErrBudget = errors.New("no time is left for this step")
