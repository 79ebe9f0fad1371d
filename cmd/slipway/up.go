package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/plan"
)

func newUp(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "up",
		Aliases: []string{"apply"},
		Short:   "Make the cluster, or go on making it, until every node is Ready",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.up(cmd.Context()) },
	}
	a.runFlags(cmd)
	a.progressFlag(cmd)
	a.outputFlag(cmd, "table, json")
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "do it without asking")
	return cmd
}

func (a *app) up(ctx context.Context) error {
	json, err := a.json()
	if err != nil {
		return err
	}
	p, progress, err := a.told(a.stderr)
	if err != nil {
		return err
	}
	defer progress.Close()
	result, err := p.Up(ctx, aside(progress, a.confirmUp))
	if err != nil {
		return err
	}
	progress.Close()
	if json {
		return view.JSON(a.stdout, result)
	}
	return a.handOver(result)
}

// confirmUp shows the plan and asks, unless --yes or nothing would change.
func (a *app) confirmUp(p plan.Plan) error {
	if a.yes || !p.Changed() {
		return nil
	}
	if err := view.Plan(a.stderr, p); err != nil {
		return err
	}
	return a.ask("Make it so? Type yes: ", "yes")
}

// ask wants the given answer typed by a person.
func (a *app) ask(question, want string) error {
	if !a.interactive() {
		return hint.With(fmt.Errorf("%w: there is no terminal to ask on", provision.ErrDeclined), "add --yes")
	}
	fmt.Fprint(a.stderr, question)
	answer, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != want {
		return hint.With(provision.ErrDeclined, "nothing was changed")
	}
	return nil
}

// handOver prints what a person needs to begin working with the cluster.
func (a *app) handOver(r provision.Result) error {
	if err := view.Table(a.stdout, nodeHeads, nodeRows(r.Nodes)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "\nConsole:     %s\nKubeconfig:  %s\nPassword:    %s (user kubeadmin)\n\nexport KUBECONFIG=%s\n",
		r.Console, r.Kubeconfig, r.Password, r.Kubeconfig)
	return err
}

var nodeHeads = []string{"node", "role", "address", "status"}

func nodeRows(nodes []provision.NodeResult) (rows [][]string) {
	for _, n := range nodes {
		rows = append(rows, []string{n.Name, n.Role, n.Address, readiness(n.Ready)})
	}
	return rows
}

func readiness(ready bool) string {
	if ready {
		return "Ready"
	}
	return "NotReady"
}
