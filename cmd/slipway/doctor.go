package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision"
)

func newDoctor(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for everything that up would fail by; change nothing",
		Long: `Look for everything that up would fail by, and say how to mend it; change nothing.

It asks the provider (version, nodes, storages, bridges, room, names and addresses
in use, the rights of the token), the installer (release, pull secret, reach) and
this host (addresses, ports, tools), as the preflight of up does. What would fail
ends it with exit 12; warnings alone do not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context()) },
	}
	a.runFlags(cmd)
	a.outputFlag(cmd, "table, json")
	return cmd
}

// diagnosis is the answer of doctor in JSON.
type diagnosis struct {
	Version  int                 `json:"version"`
	Cluster  string              `json:"cluster"`
	Findings []provision.Finding `json:"findings"`
}

func (a *app) doctor(ctx context.Context) error {
	json, err := a.json()
	if err != nil {
		return err
	}
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	found, err := p.Doctor(ctx)
	if err != nil {
		return err
	}
	if json {
		err = view.JSON(a.stdout, diagnosis{1, p.Cluster().FullName(), append([]provision.Finding{}, found...)})
	} else {
		err = a.printFindings(p.Cluster().FullName(), found)
	}
	if err == nil && len(found) > 0 && found[0].Fatal {
		err = &exitError{code: provision.ExitPreflight}
	}
	return err
}

func (a *app) printFindings(cluster string, found []provision.Finding) error {
	if len(found) == 0 {
		_, err := fmt.Fprintf(a.stdout, "%s: nothing is in the way\n", cluster)
		return err
	}
	rows := make([][]string, len(found))
	for i, f := range found {
		rows[i] = []string{fmt.Sprint(i + 1), severity(f), f.Part, f.What}
	}
	if err := view.Table(a.stdout, []string{"", "", "where", "finding"}, rows); err != nil {
		return err
	}
	for i, f := range found {
		if f.Hint != "" {
			fmt.Fprintf(a.stdout, "\n%d. %s\n", i+1, strings.ReplaceAll(f.Hint, "\n", "\n   "))
		}
	}
	return nil
}

func severity(f provision.Finding) string {
	if f.Fatal {
		return "error"
	}
	return "warning"
}
