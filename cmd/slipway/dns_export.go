package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/dnsserver/export"
	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/provision/spec"
)

// knownRoutes are the routes that every cluster has (OpenShift 4): what is
// asked for below *.apps before anybody has made a route.
var knownRoutes = []string{"console-openshift-console", "oauth-openshift", "downloads-openshift-console", "canary-openshift-ingress-canary"}

type exportFlags struct{ format, dir, server, link string }

func newDNSExport(a *app) *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write a cluster's records for another DNS server or resolver",
		Long: `Export writes the cluster's records in the form that another DNS server
reads, or tells this machine's resolver where to ask for them. Several files are
printed as one text, in which a line "-- NAME --" begins each; --dir writes them.
What a format cannot do is a warning. docs/dns-export.md says how to use each.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.dnsExport(f) },
	}
	a.specFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.format, "format", "", "one of "+strings.Join(export.Formats(), ", "))
	flags.StringVar(&f.dir, "dir", "", "write the files into `DIR`, and print their paths")
	flags.StringVar(&f.server, "server", "", "`ADDR[:PORT]` that resolved, resolver and nrpt are to ask (default: the cluster's DNS server)")
	flags.StringVar(&f.link, "interface", "", "`LINK` on which resolved is to ask, until it is reset")
	return cmd
}

func (a *app) dnsExport(f exportFlags) error {
	if f.format == "" {
		return usage(fmt.Errorf("--format is missing: one of %s", strings.Join(export.Formats(), ", ")))
	}
	e, err := a.buildExport(f)
	if err != nil {
		return err
	}
	for _, w := range e.Warnings {
		fmt.Fprintf(a.stderr, "slipway: warning: %s\n", w)
	}
	if f.dir != "" {
		return saveExport(a.stdout, e, f.dir)
	}
	_, err = e.WriteTo(a.stdout)
	return err
}

func (a *app) buildExport(f exportFlags) (export.Export, error) {
	p, err := a.project(nil)
	if err != nil {
		return export.Export{}, err
	}
	server := clusterDNS(p.Cluster())
	if f.server != "" {
		if server, err = parseServer(f.server); err != nil {
			return export.Export{}, usage(fmt.Errorf("--server %w", err))
		}
	}
	// Other servers reload a zone when its serial grew, whoever wrote it last.
	e, err := export.Build(f.format, p.Services().DNS, export.Options{
		Server: server, Interface: f.link, Serial: uint32(time.Now().Unix()), Instead: knownRoutes,
	})
	if err != nil {
		return export.Export{}, usage(err)
	}
	return e, nil
}

// clusterDNS is the server that answers for the cluster's names.
func clusterDNS(c spec.Cluster) netip.AddrPort {
	if server := c.Services.DNS.Server; server.IsValid() {
		return server
	}
	return netip.AddrPortFrom(c.Services.Addresses()[0], dnsPort)
}

// saveExport writes the files, each whole or not at all, and lists them.
func saveExport(stdout io.Writer, e export.Export, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var problems []error
	for _, f := range e.Files {
		path := filepath.Join(dir, f.Name)
		err := atomicfile.Write(path, []byte(f.Text), 0o644)
		if err == nil {
			_, err = fmt.Fprintln(stdout, path)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}
