package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/plan"
)

func newDown(a *app) *cobra.Command {
	expired := false
	cmd := &cobra.Command{
		Use:     "down",
		Aliases: []string{"destroy"},
		Short:   "Remove everything that was made for the cluster, and nothing else",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.down(cmd.Context(), expired) },
	}
	a.runFlags(cmd)
	a.progressFlag(cmd)
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "do it without asking")
	cmd.Flags().BoolVar(&expired, "expired", false, "do nothing unless the ttl of the cluster has passed")
	return cmd
}

func (a *app) down(ctx context.Context, expired bool) error {
	p, progress, err := a.told(a.stderr)
	if err != nil {
		return err
	}
	defer progress.Close()
	remove := p.Down
	if expired {
		remove = p.DownExpired
	}
	name := p.Cluster().Name
	err = remove(ctx, aside(progress, func(teardown plan.Plan) error { return a.confirmDown(name, teardown) }))
	if errors.Is(err, provision.ErrNotExpired) {
		_, err = fmt.Fprintln(a.stdout, err)
		return err
	}
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
