package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/view"
)

func newLBStatus(a *app) *cobra.Command {
	var s serving
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say which server is up, since when, and what its check said",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.lbStatus(cmd.Context(), s) },
	}
	s.flags(cmd)
	a.outputFlag(cmd, "table, json")
	return cmd
}

func (a *app) lbStatus(ctx context.Context, s serving) error {
	json, err := a.json()
	if err != nil {
		return err
	}
	status, err := s.ask(ctx)
	switch {
	case err != nil:
		return err
	case json:
		return view.JSON(a.stdout, status.Balancer)
	}
	return a.printBalancer(status.Balancer)
}
