package main

import "github.com/spf13/cobra"

func newLB(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lb",
		Short: "Render, check and watch a cluster's load balancer",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLBRender(a), newLBCheck(a), newLBStatus(a))
	return cmd
}
