package main

import (
	"context"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision"
)

func newDNSCheck(a *app) *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Ask a DNS server what installer and nodes will ask",
		Long: `Check asks from here for the names that every host of the installer asks for,
for the addresses and reverse names of the nodes, and for names that must not
exist. It ends with exit code 12 unless every answer is right.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.dnsCheck(cmd.Context(), server) },
	}
	a.specFlags(cmd)
	a.outputFlag(cmd, "table, json")
	cmd.Flags().StringVar(&server, "server", "", "`ADDR[:PORT]` of the server (default: the services address)")
	return cmd
}

func (a *app) dnsCheck(ctx context.Context, at string) error {
	json, err := a.json()
	if err != nil {
		return err
	}
	var server netip.AddrPort
	if at != "" {
		if server, err = parseServer(at); err != nil {
			return usage(err)
		}
	}
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	check, err := p.CheckDNS(ctx, server)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return &exitError{provision.ExitPreflight, err}
	}
	return a.printDNSCheck(check, json)
}

func (a *app) printDNSCheck(check provision.DNSCheck, json bool) error {
	var err error
	if json {
		err = view.JSON(a.stdout, check)
	} else {
		err = view.Table(a.stdout, []string{"name", "type", "want", "got", "verdict"}, dnsRows(check))
	}
	if wrong := check.Err(); err == nil && wrong != nil {
		return &exitError{provision.ExitPreflight, wrong}
	}
	return err
}

func dnsRows(check provision.DNSCheck) [][]string {
	rows := make([][]string, len(check.Answers))
	for i, answer := range check.Answers {
		verdict := "wrong"
		if answer.OK {
			verdict = "ok"
		}
		rows[i] = []string{answer.Name, answer.Type, answer.Want, answer.Got, verdict}
	}
	return rows
}
