package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/plan"
)

func newUp(a *app) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:     "up [PLANFILE]",
		Aliases: []string{"apply"},
		Short:   "Make the cluster, or go on making it, until every node is Ready",
		Long: `Make the cluster, or go on making it, until every node is Ready. With the plan
file that "plan --out" wrote, do what it says without asking, and nothing when
spec or world have moved since.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			confirm, err := a.confirmation(args)
			if err != nil {
				return err
			}
			if err := a.enterNetwork(cmd.Context(), true); err != nil {
				return err
			}
			ctx, cancel, err := limited(cmd.Context(), timeout)
			if err != nil {
				return err
			}
			defer cancel()
			return a.up(ctx, confirm)
		},
	}
	a.runFlags(cmd)
	cmd.PreRunE = nil // the spec may be that of a plan file: see RunE
	a.progressFlag(cmd)
	a.outputFlag(cmd, "table, json")
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "do it without asking")
	timeoutFlag(cmd, &timeout)
	return cmd
}

func (a *app) up(ctx context.Context, confirm func(plan.Plan) error) error {
	json, err := a.json()
	if err != nil {
		return err
	}
	p, progress, err := a.told(a.stderr)
	if err != nil {
		return err
	}
	defer progress.Close()
	result, err := p.Up(ctx, aside(progress, confirm))
	if err != nil {
		return err
	}
	progress.Close()
	if json {
		return view.JSON(a.stdout, result)
	}
	if err := a.handOver(result); err != nil {
		return err
	}
	return tellClient(ctx, a.stdout, p)
}

// confirmation asks a person, or the plan file that was given: the spec is then
// the one that the file was made of.
func (a *app) confirmation(args []string) (func(plan.Plan) error, error) {
	if len(args) == 0 {
		return a.confirmUp, nil
	}
	file, err := provision.ReadPlanFile(args[0])
	if err != nil {
		return nil, err
	}
	if err := a.takeInputs(file.Inputs); err != nil {
		return nil, err
	}
	return file.Confirm(args[0]), nil
}

// takeInputs reads the spec from where a plan file says. What flags and
// environment say besides must be the same.
func (a *app) takeInputs(in provision.Inputs) error {
	a.override, a.cluster = cmp.Or(a.override, in.Override), cmp.Or(a.cluster, in.Cluster)
	a.files, a.vars, a.varFiles = orKept(a.files, in.Files), orKept(a.vars, in.Vars), orKept(a.varFiles, in.VarFiles)
	if err := a.pinInputs(); err != nil {
		return err
	}
	if !reflect.DeepEqual(a.inputs(), in) {
		return usage(hint.With(errors.New("the plan file was made of another spec than the one given"), "leave out what says where the spec is, and its variables: the plan file has them"))
	}
	return nil
}

func orKept(given, kept []string) []string {
	if len(given) == 0 {
		return kept
	}
	return given
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
