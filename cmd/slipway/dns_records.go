package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/dnsserver"
	"github.com/slipway-project/slipway/dnsserver/export"
	"github.com/slipway-project/slipway/internal/view"
)

func newDNSRecords(a *app) *cobra.Command {
	var zone string
	cmd := &cobra.Command{
		Use:   "records",
		Short: "List the records that a cluster needs",
		Long: `Records lists what the cluster's own DNS serves, or what another server must
have. With -o zone it prints master files (RFC 1035): one zone after the other,
or the one of --zone. Nothing is contacted.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.dnsRecords(zone) },
	}
	a.specFlags(cmd)
	a.outputFlag(cmd, "table, json, zone")
	cmd.Flags().StringVar(&zone, "zone", "", "only the zone `NAME`")
	return cmd
}

// dnsRecords is what `dns records -o json` answers.
type dnsRecords struct {
	Cluster string           `json:"cluster"`
	Zones   []dnsserver.Zone `json:"zones"`
}

func (a *app) dnsRecords(only string) error {
	if !slices.Contains([]string{"table", "json", "zone"}, a.output) {
		return usage(fmt.Errorf("output %q is none of table, json, zone", a.output))
	}
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	zones, err := onlyZone(p.Services().DNS.Zones, only)
	switch {
	case err != nil:
		return err
	case a.output == "json":
		return view.JSON(a.stdout, dnsRecords{p.Cluster().FullName(), zones})
	case a.output == "zone":
		return masterFiles(a.stdout, zones)
	}
	return view.Table(a.stdout, []string{"name", "ttl", "type", "data"}, recordRows(zones))
}

// onlyZone picks a zone by its name, with the final dot or without.
func onlyZone(zones []dnsserver.Zone, name string) ([]dnsserver.Zone, error) {
	if name == "" {
		return zones, nil
	}
	var names []string
	for _, z := range zones {
		if strings.EqualFold(strings.TrimSuffix(z.Name, "."), strings.TrimSuffix(name, ".")) {
			return []dnsserver.Zone{z}, nil
		}
		names = append(names, z.Name)
	}
	return nil, usage(fmt.Errorf("the cluster has no zone %q, only %s", name, strings.Join(names, ", ")))
}

func recordRows(zones []dnsserver.Zone) (rows [][]string) {
	for _, z := range zones {
		for _, r := range z.Records {
			rows = append(rows, []string{r.Name, strconv.FormatUint(uint64(ttlOf(z, r)), 10), r.Type, r.Data})
		}
	}
	return rows
}

func ttlOf(z dnsserver.Zone, r dnsserver.Record) uint32 {
	if r.TTL == 0 {
		return z.TTL
	}
	return r.TTL
}

// masterFiles writes the zones as named reads them.
func masterFiles(w io.Writer, zones []dnsserver.Zone) error {
	exported, err := export.Build("bind", dnsserver.Config{Zones: zones}, export.Options{})
	if err != nil {
		return err
	}
	for _, f := range exported.Files {
		if !strings.HasSuffix(f.Name, ".zone") {
			continue
		}
		if _, err := io.WriteString(w, f.Text); err != nil {
			return err
		}
	}
	return nil
}
