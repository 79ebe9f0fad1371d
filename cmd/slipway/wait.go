package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision"
)

type waitFlags struct {
	goal    string
	timeout time.Duration
}

func newWait(a *app) *cobra.Command {
	var o waitFlags
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "See an installation through that up has begun",
		Long: `See an installation through that up has begun, and hand the cluster over as up
does. Nothing is made: without booted machines there is nothing to wait for.
While an up has the cluster, wait follows it, and goes on itself when that ends
early.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.wait(cmd.Context(), o) },
	}
	a.runFlags(cmd)
	a.progressFlag(cmd)
	a.outputFlag(cmd, "table, json")
	cmd.Flags().StringVar(&o.goal, "for", string(provision.Ready), "what to wait for: installed, ready")
	timeoutFlag(cmd, &o.timeout)
	return cmd
}

// timeoutFlag bounds a whole run.
func timeoutFlag(cmd *cobra.Command, timeout *time.Duration) {
	cmd.Flags().DurationVar(timeout, "timeout", 0, "end after so `LONG` (45m, 2h), with exit code 13 while there is progress; 0: never")
}

// limited is ctx with an end by --timeout.
func limited(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc, error) {
	switch {
	case timeout < 0:
		return nil, nil, usage(fmt.Errorf("--timeout %s is negative", timeout))
	case timeout == 0:
		return ctx, func() {}, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w: --timeout %s", provision.ErrTimeout, timeout))
	return ctx, cancel, nil
}

func (a *app) wait(ctx context.Context, o waitFlags) error {
	goal := provision.Goal(o.goal)
	if goal != provision.Installed && goal != provision.Ready {
		return usage(fmt.Errorf("--for %s is neither installed nor ready", o.goal))
	}
	json, err := a.json()
	if err != nil {
		return err
	}
	ctx, cancel, err := limited(ctx, o.timeout)
	if err != nil {
		return err
	}
	defer cancel()
	p, progress, err := a.told(a.stderr)
	if err != nil {
		return err
	}
	defer progress.Close()
	result, err := p.Wait(ctx, goal)
	if err != nil {
		return err
	}
	progress.Close()
	if json {
		return view.JSON(a.stdout, result)
	}
	return a.handOver(result)
}
