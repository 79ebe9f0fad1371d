package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/loadbalancer"
	"github.com/slipway-project/slipway/provision/services"
)

// A serving says which serve process is meant: that of a run directory, that
// of a cluster, or the only one there is.
type serving struct{ runDir, owner string }

func (s *serving) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.runDir, "run-dir", "", "run directory of the serve process (default: the only one of this host)")
	cmd.Flags().StringVar(&s.owner, "owner", "", "full `NAME` of the cluster that it serves")
}

// find returns its run directory.
func (s serving) find() (string, error) {
	if s.runDir != "" {
		return s.runDir, nil
	}
	found, err := services.Serving(s.owner)
	if err != nil {
		return "", err
	}
	var owners []string
	for _, h := range found {
		owners = append(owners, h.Owner)
	}
	switch {
	case len(found) == 1:
		return found[0].RunDir, nil
	case len(found) > 1:
		return "", usage(hint.With(fmt.Errorf("several clusters are served here: %s", strings.Join(owners, ", ")), "choose one with --owner NAME"))
	case s.owner != "":
		return "", hint.With(fmt.Errorf("no slipway serve of %s runs here", s.owner), "`slipway up` starts it")
	}
	return "", hint.With(errors.New("no slipway serve runs here"), "`slipway up` starts it")
}

func newServeApply(a *app) *cobra.Command {
	var s serving
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Have a running serve follow another services document",
		Long: `Apply sends a services document, - for stdin, to a running serve, which serves it
from then on and keeps it in the place of the one it follows. A document that
cannot be served changes nothing: apply says why and ends with an error.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.serveApply(cmd.Context(), s, args[0]) },
	}
	s.flags(cmd)
	return cmd
}

func (a *app) serveApply(ctx context.Context, s serving, file string) error {
	document, err := a.readDocument(file)
	if err != nil {
		return err
	}
	runDir, err := s.find()
	if err != nil {
		return err
	}
	if err := services.Apply(ctx, runDir, document); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: document %d is served\n", document.Owner, document.Serial)
	return nil
}

func (a *app) readDocument(file string) (services.Document, error) {
	if file != "-" {
		return services.Read(file)
	}
	text, err := io.ReadAll(a.stdin)
	if err != nil {
		return services.Document{}, err
	}
	return services.Parse(text)
}

func newServeStatus(a *app) *cobra.Command {
	var s serving
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what a running serve serves, and how it is",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.serveStatus(cmd.Context(), s) },
	}
	s.flags(cmd)
	a.outputFlag(cmd, "table, json")
	return cmd
}

func (a *app) serveStatus(ctx context.Context, s serving) error {
	json, err := a.json()
	if err != nil {
		return err
	}
	status, err := s.ask(ctx)
	switch {
	case err != nil:
		return err
	case json:
		return view.JSON(a.stdout, status)
	}
	fmt.Fprintf(a.stdout, "%s: document %d, pid %d since %s\n", status.Owner, status.Serial, status.PID, status.Started.Local().Format(time.DateTime))
	if status.Error != "" {
		fmt.Fprintf(a.stdout, "wrong: %s\n", status.Error)
	}
	fmt.Fprintf(a.stdout, "DNS on %s: %d queries over UDP, %d over TCP\n", addrNames(status.DNS.Listen), status.DNS.Stats.UDP, status.DNS.Stats.TCP)
	if m := status.Media; m != nil {
		fmt.Fprintf(a.stdout, "Media of %s on http://%s/: %s; read %d times, refused %d times\n", m.Dir, m.Listen, cmp.Or(strings.Join(m.Images, ", "), "none"), m.Requests, m.Refused)
	}
	return a.printBalancer(status.Balancer)
}

func (s serving) ask(ctx context.Context) (services.Status, error) {
	runDir, err := s.find()
	if err != nil {
		return services.Status{}, err
	}
	return services.Ask(ctx, runDir)
}

func newServeStop(a *app) *cobra.Command {
	var s serving
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop a running serve, with its DNS and load balancer",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			runDir, err := s.find()
			if err != nil {
				return err
			}
			return services.Quit(cmd.Context(), runDir)
		},
	}
	s.flags(cmd)
	return cmd
}

func (a *app) printBalancer(b services.BalancerStatus) error {
	fmt.Fprintf(a.stdout, "Load balancer: %s, restarted %d times\n\n", b.Name, b.Restarts)
	var fronts [][]string
	for _, f := range b.Frontends {
		fronts = append(fronts, []string{f.Name, f.Bind.String(), upDown(f.Up), strconv.Itoa(f.Sessions), fmt.Sprint(f.Total), fmt.Sprint(f.Refused)})
	}
	if err := view.Table(a.stdout, []string{"frontend", "address", "state", "open", "in all", "refused"}, fronts); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout)
	return view.Table(a.stdout, []string{"frontend", "server", "address", "state", "since", "open", "in all", "failed", "check"}, serverRows(b.Servers, time.Now()))
}

func serverRows(servers []loadbalancer.Server, now time.Time) (rows [][]string) {
	for _, s := range servers {
		rows = append(rows, []string{s.Frontend, s.Name, s.Address.String(), s.State, now.Sub(s.Since).Truncate(time.Second).String(),
			strconv.Itoa(s.Sessions), fmt.Sprint(s.Total), fmt.Sprint(s.Errors), s.Check})
	}
	return rows
}

func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}
