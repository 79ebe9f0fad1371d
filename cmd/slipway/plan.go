package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/view"
)

func newPlan(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what up would do; change nothing",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.plan(cmd.Context()) },
	}
	a.runFlags(cmd)
	a.outputFlag(cmd, "table, json")
	return cmd
}

func (a *app) plan(ctx context.Context) error {
	json, err := a.json()
	if err != nil {
		return err
	}
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	plan, err := p.Plan(ctx)
	if err != nil {
		return err
	}
	if json {
		return view.JSON(a.stdout, plan)
	}
	return view.Plan(a.stdout, plan)
}
