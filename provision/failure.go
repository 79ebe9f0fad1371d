package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/state"
)

// The exit codes of slipway (docs/exit-codes.md).
const (
	ExitOK             = 0
	ExitOther          = 1
	ExitUsage          = 2
	ExitSpec           = 3
	ExitInfrastructure = 4
	ExitBootstrap      = 5
	ExitInstall        = 6
	ExitOperators      = 7
	ExitInterrupted    = 8
	ExitConfirm        = 10
	ExitHeld           = 11
	ExitPreflight      = 12
	ExitTimeout        = 13
	ExitPartial        = 14
)

// ErrInterrupted is the cause of a run's end by Ctrl-C or SIGTERM.
var ErrInterrupted = errors.New("interrupted")

// ErrTimeout is the cause of a run's end by --timeout; give it wrapped to
// context.WithTimeoutCause.
var ErrTimeout = phase.ErrTimeout

// ErrDeclined says that the plan was not confirmed.
var ErrDeclined = errors.New("not confirmed")

// A PreflightError lists everything that would have failed later.
type PreflightError struct{ Problems []provider.Problem }

func (e *PreflightError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.What
	}
	return "preflight: " + strings.Join(lines, "; ")
}

// Unwrap returns the errors that were met while looking.
func (e *PreflightError) Unwrap() (errs []error) {
	for _, p := range e.Problems {
		if p.Err != nil {
			errs = append(errs, p.Err)
		}
	}
	return errs
}

// A PartialError says what `down` could not remove.
type PartialError struct {
	Left []string
	Err  error
}

func (e *PartialError) Error() string {
	if len(e.Left) == 0 {
		return fmt.Sprintf("teardown is incomplete: %v", e.Err)
	}
	return fmt.Sprintf("teardown is incomplete, still there: %s: %v", strings.Join(e.Left, ", "), e.Err)
}

func (e *PartialError) Unwrap() error { return e.Err }

// ExitCode maps an error of this package to slipway's exit code.
func ExitCode(err error) int {
	var preflight *PreflightError
	var unreadable *secret.ReadError
	var held *state.HeldError
	var partial *PartialError
	var step *phase.Error
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, ErrInterrupted), errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.As(err, &unreadable):
		return ExitSpec
	case errors.As(err, &preflight):
		return ExitPreflight
	case errors.As(err, &held):
		return ExitHeld
	case errors.Is(err, ErrDeclined), errors.Is(err, ErrProtected):
		return ExitConfirm
	case errors.As(err, &partial):
		return ExitPartial
	case errors.Is(err, phase.ErrProgressing):
		return ExitTimeout
	case errors.As(err, &step):
		return exitOfPhase(step)
	case errors.Is(err, ErrTimeout): // before there was a step that could stand still
		return ExitTimeout
	}
	return ExitOther
}

func exitOfPhase(e *phase.Error) int {
	var bootstrap *bootstrapError
	switch {
	case errors.As(e.Err, &bootstrap):
		return ExitBootstrap
	case e.Phase == phaseInstall, e.Phase == phaseDiscover:
		return ExitInstall
	case e.Phase == phaseJoin:
		return ExitOperators
	}
	return ExitInfrastructure
}

// A bootstrapError is a failure before the first control plane answered.
type bootstrapError struct{ error }

func (e *bootstrapError) Unwrap() error { return e.error }

// Hint is the advice for err: its own, or what resumes the run.
func Hint(err error) string {
	if ExitCode(err) == ExitTimeout {
		return "it goes on without slipway: `slipway wait` waits longer; `slipway down` removes what was made"
	}
	if advice := hint.Of(err); advice != "" {
		return advice
	}
	var step *phase.Error
	if errors.Is(err, ErrInterrupted) || errors.As(err, &step) {
		return "run the same command again: it goes on where it stopped; `slipway down` removes what was made"
	}
	return ""
}

// withAdvice hangs the advice of an SSH failure's class on it.
func withAdvice(err error) error {
	var failure *sshx.Error
	if errors.As(err, &failure) && failure.Class.Advice() != "" {
		return hint.With(err, failure.Class.Advice())
	}
	return err
}
