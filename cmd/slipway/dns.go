package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"
)

func newDNS(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dns",
		Short: "Serve zones; show, check, export and push a cluster's records",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDNSServe(a), newDNSRecords(a), newDNSCheck(a), newDNSExport(a), newDNSPush(a), newDNSClient(a))
	return cmd
}

const dnsPort = 53

// parseServer reads ADDR[:PORT].
func parseServer(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a, nil
	}
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a, dnsPort), nil
	}
	return netip.AddrPort{}, fmt.Errorf("%q is neither ADDR nor ADDR:PORT", s)
}

// parseNetwork reads CIDR, or one address.
func parseNetwork(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.Prefix{}, fmt.Errorf("%q is no network such as 192.0.2.0/24", s)
}

// parseEach reads every value of a flag, and tells all that are wrong.
func parseEach[T any](flag string, values []string, parse func(string) (T, error)) ([]T, error) {
	var out []T
	var problems []error
	for _, value := range values {
		v, err := parse(value)
		if err != nil {
			problems = append(problems, fmt.Errorf("--%s %w", flag, err))
			continue
		}
		out = append(out, v)
	}
	return out, errors.Join(problems...)
}
