package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/spec"
)

func newDNSCheck(a *app) *cobra.Command {
	var server, node string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Ask a DNS server what installer and nodes will ask",
		Long: `Check asks from here for the names that every host of the installer asks for,
for the addresses and reverse names of the nodes, and for names that must not
exist. With --node it asks from that node, over SSH, each DNS server that the
node itself asks, or the one of --server. It ends with exit code 12 unless every
answer is right.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.dnsCheck(cmd.Context(), server, node) },
	}
	a.specFlags(cmd)
	a.inNetwork(cmd)
	a.outputFlag(cmd, "table, json")
	cmd.Flags().StringVar(&server, "server", "", "`ADDR[:PORT]` of the server (default: the services address; with --node: those of the node)")
	cmd.Flags().StringVar(&node, "node", "", "`NAME` of the node to ask from, such as worker-0")
	return cmd
}

func (a *app) dnsCheck(ctx context.Context, at, node string) error {
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
	ask, err := dnsAsker(p, node)
	if err != nil {
		return usage(err)
	}
	check, err := ask(ctx, server)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return &exitError{provision.ExitPreflight, err}
	}
	return a.printDNSCheck(check, json)
}

// dnsAsker asks from here, or from a node.
func dnsAsker(p *provision.Project, node string) (func(context.Context, netip.AddrPort) (provision.DNSCheck, error), error) {
	if node == "" {
		return p.CheckDNS, nil
	}
	n, err := pickNode(p.Cluster().Nodes, node)
	return func(ctx context.Context, server netip.AddrPort) (provision.DNSCheck, error) {
		return p.CheckDNSFrom(ctx, n, server)
	}, err
}

// pickNode finds the node that --node names.
func pickNode(nodes []spec.Node, name string) (spec.Node, error) {
	var names []string
	for _, n := range nodes {
		if n.Name == name {
			return n, nil
		}
		names = append(names, n.Name)
	}
	return spec.Node{}, fmt.Errorf("the spec has no node %q, only %s", name, strings.Join(names, ", "))
}

func (a *app) printDNSCheck(check provision.DNSCheck, json bool) error {
	var err error
	if json {
		err = view.JSON(a.stdout, check)
	} else {
		err = view.Table(a.stdout, []string{"server", "name", "type", "want", "got", "verdict"}, dnsRows(check))
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
		rows[i] = []string{answer.Server.String(), answer.Name, answer.Type, answer.Want, answer.Got, verdict}
	}
	return rows
}
