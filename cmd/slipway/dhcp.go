package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/dhcpserver"
	"github.com/slipway-project/slipway/dhcpserver/export"
	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/spec"
)

func newDHCP(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dhcp",
		Short: "What the DHCP server of your network must know",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newReservations(a))
	return cmd
}

func newReservations(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "reservations",
		Short: "Print the reservations to paste into a router or DHCP server",
		Long: `Print name, MAC address and address of every node in the form of your DHCP
server. Nodes whose spec says addresses = "dhcp" have a name alone, until they
have booted. Nothing is contacted.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.reservations(format) },
	}
	a.specFlags(cmd)
	cmd.Flags().StringVar(&format, "format", "dnsmasq", "one of "+strings.Join(export.Formats(), ", "))
	return cmd
}

func (a *app) reservations(format string) error {
	if !slices.Contains(export.Formats(), format) {
		return usage(fmt.Errorf("format %q is not one of %s", format, strings.Join(export.Formats(), ", ")))
	}
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	for i, n := range reservedNetworks(p.Cluster(), p.Nodes()) {
		text, where, err := export.Render(format, n)
		if err != nil {
			return hint.With(err, `give the nodes addresses, such as addresses = "192.0.2.201-203", or choose another --format`)
		}
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		fmt.Fprint(a.stdout, text)
		fmt.Fprintf(a.stderr, "network %s: for %s\n", n.CIDR, where)
	}
	return nil
}

// reservedNetworks are the networks of the nodes, in their order.
func reservedNetworks(c spec.Cluster, nodes []spec.Node) (all []export.Network) {
	for _, n := range nodes {
		cidr := n.Network.CIDR.Masked()
		i := slices.IndexFunc(all, func(e export.Network) bool { return e.CIDR == cidr })
		if i < 0 {
			i, all = len(all), append(all, export.Network{CIDR: cidr, Domain: c.FullName()})
		}
		all[i].Reservations = append(all[i].Reservations, dhcpserver.Reservation{Name: n.Name, MAC: dhcpserver.MAC(n.MAC), Address: n.Address})
	}
	return all
}
