package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision/plan"
)

func newDown(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "down",
		Aliases: []string{"destroy"},
		Short:   "Remove everything that was made for the cluster, and nothing else",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.down(cmd.Context()) },
	}
	a.runFlags(cmd)
	a.progressFlag(cmd)
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "do it without asking")
	return cmd
}

func (a *app) down(ctx context.Context) error {
	p, progress, err := a.told(a.stderr)
	if err != nil {
		return err
	}
	defer progress.Close()
	name := p.Cluster().Name
	err = p.Down(ctx, aside(progress, func(teardown plan.Plan) error { return a.confirmDown(name, teardown) }))
	if err != nil {
		return err
	}
	progress.Close()
	a.remindOfContext(p.Cluster())
	_, err = fmt.Fprintf(a.stdout, "%s is gone\n", p.Cluster().FullName())
	return err
}

func (a *app) confirmDown(name string, p plan.Plan) error {
	if a.yes {
		return nil
	}
	if err := view.Plan(a.stderr, p); err != nil {
		return err
	}
	return a.ask(fmt.Sprintf("All of it will be destroyed. Type the cluster's name (%s): ", name), name)
}
