package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision"
)

func newList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the clusters that slipway has made here",
		Long: `List the clusters of the state directory, as their records tell: no spec is
needed, and nothing is contacted. Whether a cluster is still as it was,
` + "`slipway status`" + ` says.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.list(cmd.Context()) },
	}
	a.outputFlag(cmd, "table, json, name")
	return cmd
}

func (a *app) list(ctx context.Context) error {
	if err := a.form("table", "json", "name"); err != nil {
		return err
	}
	home, err := a.stateHome()
	if err != nil {
		return err
	}
	all, err := provision.List(ctx, home)
	switch {
	case err != nil:
		return err
	case a.output == "json":
		return view.JSON(a.stdout, map[string]any{"version": 1, "home": home, "clusters": all})
	case a.output == "name":
		for _, l := range all {
			fmt.Fprintln(a.stdout, l.Name)
		}
		return nil
	case len(all) == 0:
		fmt.Fprintf(a.stderr, "slipway: no clusters in %s\n", home)
		return nil
	}
	return a.tableOf(all)
}

func (a *app) tableOf(all []provision.Listed) error {
	var rows [][]string
	for _, l := range all {
		rows = append(rows, []string{l.Name, l.State, strconv.Itoa(l.Nodes), when(l.Created), expiry(l), lastStep(l), holding(l)})
	}
	if err := view.Table(a.stdout, []string{"name", "state", "nodes", "created", "expires", "last step", "held by"}, rows); err != nil {
		return err
	}
	for _, l := range all {
		if l.Problem != "" {
			fmt.Fprintf(a.stderr, "slipway: warning: %s: %s\n", l.Dir, l.Problem)
			fmt.Fprintf(a.stderr, "slipway: hint: `slipway down` with its spec finds what was made without these records, and removes them\n")
		}
	}
	return nil
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// expiry says how long the cluster is meant to live, or for how long it is
// overdue.
func expiry(l provision.Listed) string {
	if l.Expires.IsZero() {
		return "-"
	}
	return strings.TrimPrefix(provision.Expiry(l.Expires, time.Now()), "expires ")
}

func lastStep(l provision.Listed) string {
	if l.Step == "" {
		return "-"
	}
	return l.Step
}

// holding says who has the cluster now.
func holding(l provision.Listed) string {
	if l.Holder == nil {
		return "-"
	}
	text := fmt.Sprintf("slipway %s, pid %d on %s", l.Holder.Verb, l.Holder.PID, l.Holder.Host)
	if l.Holder.Step != "" {
		text += ", at " + l.Holder.Step
	}
	return text
}
