package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision"
)

func newStatus(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say where the cluster stands, as the world shows it",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context()) },
	}
	a.runFlags(cmd)
	a.outputFlag(cmd, "table, json")
	return cmd
}

func (a *app) status(ctx context.Context) error {
	json, err := a.json()
	if err != nil {
		return err
	}
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	s, err := p.Status(ctx)
	if err != nil {
		return err
	}
	if json {
		return view.JSON(a.stdout, s)
	}
	return a.printStatus(s)
}

func (a *app) printStatus(s provision.Status) error {
	fmt.Fprintf(a.stdout, "%s: %s\n", s.Cluster, s.State)
	if !s.Created.IsZero() {
		fmt.Fprintf(a.stdout, "begun %s\n", s.Created.Local().Format(time.DateTime))
	}
	if !s.Expires.IsZero() {
		fmt.Fprintln(a.stdout, provision.Expiry(s.Expires, time.Now()))
	}
	fmt.Fprintln(a.stdout)
	rows := make([][]string, len(s.Nodes))
	for i, n := range s.Nodes {
		rows[i] = []string{n.Name, n.Role, n.Address, n.Machine, n.ID, n.Place, progressOf(n)}
	}
	if err := view.Table(a.stdout, []string{"node", "role", "address", "machine", "id", "place", "status"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout)
	if s.Installation != "" {
		fmt.Fprintf(a.stdout, "Installer: %s\n", s.Installation)
	}
	fmt.Fprintf(a.stdout, "Services:  %s\nAPI:       %s\n", servicesWords(s), s.API)
	if s.Console != "" {
		fmt.Fprintf(a.stdout, "Console:   %s\n", s.Console)
	}
	for _, w := range s.Wrong {
		fmt.Fprintf(a.stdout, "wrong: %s\n", w)
	}
	return nil
}

// progressOf is where a node stands: in the cluster, or on the way there.
func progressOf(n provision.NodeStatus) string {
	if n.Stage != "" {
		return n.Stage
	}
	return readiness(n.Ready)
}

// servicesWords says how the services are, and the machine that was made for
// them.
func servicesWords(s provision.Status) string {
	m := s.ServicesMachine
	switch {
	case m == nil:
		return s.Services
	case m.ID == "":
		return fmt.Sprintf("%s (machine %s: %s)", s.Services, m.Name, m.Machine)
	}
	return fmt.Sprintf("%s (machine %s at %s: %s, %s on %s)", s.Services, m.Name, m.Address, m.Machine, m.ID, m.Place)
}
