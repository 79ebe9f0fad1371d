package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	rfc2136 "github.com/slipway-project/slipway/dnsserver/update"
	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision/spec"
)

// tsigVariable holds the secret of a key that is given without a file.
const tsigVariable = "SLIPWAY_TSIG_SECRET"

type pushFlags struct {
	server, key    string
	remove, dryRun bool
}

func newDNSPush(a *app) *cobra.Command {
	var f pushFlags
	cmd := &cobra.Command{
		Use:   "push",
		Short: "Put a cluster's records into your own DNS server",
		Long: `Push adds, changes and removes records by dynamic updates (RFC 2136) that a
TSIG key signs, until the server has exactly those that the cluster needs. A TXT
record beside each says whose it is: others are never touched, and in the way
they are an error. --remove takes out what is the cluster's, also when the state
of slipway is lost.

Server and key are those of the spec's dns block, unless they are given here.
The key's secret comes from FILE (base64, or what tsig-keygen wrote), or without
one from the environment variable ` + tsigVariable + `.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.dnsPush(cmd.Context(), f) },
	}
	a.specFlags(cmd)
	a.inNetwork(cmd)
	a.outputFlag(cmd, "table, json")
	flags := cmd.Flags()
	flags.StringVar(&f.server, "rfc2136", "", "`ADDR[:PORT]` of the primary server of the zones")
	flags.StringVar(&f.key, "tsig", "", "key to sign with, `NAME:ALGORITHM[:FILE]`")
	flags.BoolVar(&f.remove, "remove", false, "take the cluster's records out")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be sent, as nsupdate reads it, and send nothing")
	return cmd
}

func (a *app) dnsPush(ctx context.Context, f pushFlags) error {
	json, err := a.json()
	if err != nil {
		return err
	}
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	target, err := f.target(p.Cluster().Services.DNS)
	if err != nil {
		return usage(err)
	}
	do := rfc2136.Push
	if f.remove {
		do = rfc2136.Remove
	}
	sum, err := do(ctx, target, p.Services().DNS.Zones, p.Cluster().FullName())
	a.warnOfUnknown(sum)
	if shown := a.printPush(target, sum, json); err == nil {
		err = shown
	}
	return err
}

func (a *app) printPush(t rfc2136.Target, sum rfc2136.Summary, json bool) error {
	switch {
	case json:
		return view.JSON(a.stdout, sum)
	case t.DryRun:
		return a.printUpdates(t, sum)
	case len(sum.Zones) == 0:
		return nil
	}
	return view.Table(a.stdout, []string{"zone", "added", "changed", "removed", "unchanged"}, pushRows(sum))
}

// target is the server and key of the flags, or else of the spec.
func (f pushFlags) target(d spec.DNS) (t rfc2136.Target, err error) {
	t = rfc2136.Target{Server: d.Server, DryRun: f.dryRun,
		Key: rfc2136.Key{Name: d.Key.Name, Algorithm: d.Key.Algorithm, Secret: d.Key.Secret}}
	if f.server != "" {
		if t.Server, err = parseServer(f.server); err != nil {
			return t, fmt.Errorf("--rfc2136 %w", err)
		}
	}
	if f.key != "" {
		if t.Key, err = parseTSIG(f.key); err != nil {
			return t, fmt.Errorf("--tsig %w", err)
		}
	}
	switch {
	case !t.Server.IsValid():
		return t, errors.New("no server is given: write --rfc2136 ADDR[:PORT], or a dns block in the spec")
	case !t.Key.Secret.Set():
		return t, errors.New("no key is given: write --tsig NAME:ALGORITHM:FILE, or a dns block in the spec")
	}
	return t, nil
}

func parseTSIG(s string) (rfc2136.Key, error) {
	key, file, err := rfc2136.ParseKey(s)
	key.Secret = secret.New("file "+file, func() (string, error) {
		data, err := os.ReadFile(file)
		return string(data), err
	})
	if file == "" {
		key.Secret = secret.New("environment variable "+tsigVariable, func() (string, error) {
			if value := os.Getenv(tsigVariable); value != "" {
				return value, nil
			}
			return "", errors.New("it is not set")
		})
	}
	return key, err
}

// warnOfUnknown says of which zones not every name could be seen.
func (a *app) warnOfUnknown(sum rfc2136.Summary) {
	for _, z := range sum.Zones {
		if !z.Whole {
			fmt.Fprintf(a.stderr, "slipway: warning: zone %s: the server does not let the key transfer it; names that are no longer in the spec were not looked for\n", z.Zone)
		}
	}
}

// printUpdates prints the updates as one input of nsupdate.
func (a *app) printUpdates(t rfc2136.Target, sum rfc2136.Summary) error {
	var text strings.Builder
	for _, z := range sum.Zones {
		if z.Update == "" {
			fmt.Fprintf(&text, "; zone %s is as it should be\n", z.Zone)
			continue
		}
		fmt.Fprintf(&text, "server %s %d\n%s", t.Server.Addr(), t.Server.Port(), z.Update)
	}
	_, err := io.WriteString(a.stdout, text.String())
	return err
}

func pushRows(sum rfc2136.Summary) (rows [][]string) {
	for _, z := range sum.Zones {
		row := []string{strings.TrimSuffix(z.Zone, ".")}
		for _, n := range []int{z.Added, z.Changed, z.Removed, z.Unchanged} {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, row)
	}
	return rows
}
