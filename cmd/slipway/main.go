// Command slipway turns one HCL file into a running OpenShift or OKD cluster.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/rehearsal/guest"
)

// graceful is how long a run may take to end after the first Ctrl-C. What it
// leaves half done is journaled and resumed by the next run.
const graceful = 1500 * time.Millisecond

func main() {
	guest.Become(os.Stdout) // unless this is a virtual machine's first process, nothing
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	ctx, stop := interruptible(a)
	code := run(ctx, a, os.Args[1:])
	stop()
	os.Exit(code)
}

// run is the whole program but for the process around it.
func run(ctx context.Context, a *app, args []string) int {
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	report(a.stderr, err)
	return exitCode(err)
}

// interruptible returns a context that Ctrl-C or SIGTERM ends. A second one
// ends the process at once, and so does a verb that takes too long to end
// and has not asked for patience.
func interruptible(a *app) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel(provision.ErrInterrupted)
		if a.steady.Load() {
			return
		}
		deadline := time.After(graceful)
		if a.patient.Load() {
			deadline = nil
		}
		select {
		case <-signals:
		case <-deadline:
		}
		report(a.stderr, provision.ErrInterrupted)
		os.Exit(provision.ExitInterrupted)
	}()
	return ctx, func() { signal.Stop(signals) }
}

// exitError is an error that knows its exit code. A nil err is silent: what
// there was to say has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usage(err error) error { return &exitError{provision.ExitUsage, err} }

func exitCode(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return provision.ExitCode(err)
}

// report prints an error once, with what to do.
func report(w io.Writer, err error) {
	var e *exitError
	var preflight *provision.PreflightError
	switch {
	case err == nil, errors.As(err, &e) && e.err == nil:
	case errors.As(err, &preflight):
		for _, p := range preflight.Problems {
			tell(w, "preflight: "+p.What, cmp.Or(p.Hint, adviceFor(p.Err)))
		}
	default:
		tell(w, err.Error(), adviceFor(err))
	}
}
