package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/loadbalancer"
	"github.com/slipway-project/slipway/provision"
)

func newLBCheck(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Ask the load balancer what the cluster will ask of it",
		Long: `Check connects from here to the address of the API, or to both if it has two, on
every port that a cluster needs, whoever serves there, and says beside each what it must be configured to.
The machine config server must answer hosts of the machine network, and nobody
else. It ends with exit code 12 unless every port does as it must.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.lbCheck(cmd.Context()) },
	}
	a.specFlags(cmd)
	a.inNetwork(cmd)
	a.outputFlag(cmd, "table, json")
	return cmd
}

// lbChecked is what `lb check -o json` answers.
type lbChecked struct {
	Cluster   string                 `json:"cluster"`
	Frontends []loadbalancer.Verdict `json:"frontends"`
}

func (a *app) lbCheck(ctx context.Context) error {
	json, err := a.json()
	if err != nil {
		return err
	}
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	var all loadbalancer.Config
	for _, c := range p.Balancers() {
		all.Frontends = append(all.Frontends, c.Frontends...)
	}
	verdicts := loadbalancer.Verify(ctx, all)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if json {
		err = view.JSON(a.stdout, lbChecked{p.Cluster().FullName(), verdicts})
	} else {
		err = view.Table(a.stdout, []string{"frontend", "address", "verdict", "want", "got", "needs"}, verdictRows(verdicts))
	}
	if err != nil {
		return err
	}
	return lbWrong(verdicts)
}

func verdictRows(verdicts []loadbalancer.Verdict) (rows [][]string) {
	for _, v := range verdicts {
		word := "wrong"
		if v.OK {
			word = "ok"
		}
		rows = append(rows, []string{v.Frontend, v.Address.String(), word, v.Want, v.Got, v.Needs})
	}
	return rows
}

func lbWrong(verdicts []loadbalancer.Verdict) error {
	wrong := 0
	for _, v := range verdicts {
		if !v.OK {
			wrong++
		}
	}
	if wrong == 0 {
		return nil
	}
	return &exitError{provision.ExitPreflight, hint.With(fmt.Errorf("%d of %d ports of the load balancer are wrong", wrong, len(verdicts)),
		"nodes that are not installed yet answer on none; `slipway lb render` prints a configuration that does the rest")}
}
