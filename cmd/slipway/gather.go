package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision"
)

func newGather(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "gather",
		Short: "Collect what somebody who helps would ask for",
		Long: `Collect, into one file (tar, gzip; 0600), what somebody who helps would ask for:
state, plan, services and their statistics, what the installer noted, the
journals of the nodes, what the cluster says of itself. The cluster's secrets are
taken out. What cannot be had is told, listed in index.txt, and no failure.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.gather(cmd.Context(), out) },
	}
	a.runFlags(cmd)
	a.outputFlag(cmd, "table, json")
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write (default slipway-gather-NAME-TIME.tar.gz)")
	return cmd
}

func (a *app) gather(ctx context.Context, out string) error {
	json, err := a.json()
	if err != nil {
		return err
	}
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	var bundle bytes.Buffer
	g, err := p.Gather(ctx, version, &bundle)
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	if out == "" {
		out = fmt.Sprintf("slipway-gather-%s-%s.tar.gz", p.Cluster().Name, g.Time.Format("20060102-150405"))
	}
	if err := atomicfile.Write(out, bundle.Bytes(), 0o600); err != nil {
		return err
	}
	if json {
		return view.JSON(a.stdout, struct {
			Version int    `json:"version"`
			File    string `json:"file"`
			provision.Gathered
		}{1, out, g})
	}
	a.tellMissing(g)
	_, err = fmt.Fprintln(a.stdout, out)
	return err
}

// tellMissing says what is not in the bundle, and what may be.
func (a *app) tellMissing(g provision.Gathered) {
	failures := g.Failures()
	for _, t := range failures {
		fmt.Fprintf(a.stderr, "missing: %s: %s\n", t.Name, strings.ReplaceAll(t.Error, "\n", "; "))
	}
	for _, origin := range g.Unread {
		fmt.Fprintf(a.stderr, "slipway: warning: %s could not be read, so it was not looked for\n", origin)
	}
	fmt.Fprintf(a.stderr, "%d of %d things were gathered; look through them before you give them away\n", len(g.Things)-len(failures), len(g.Things))
}
