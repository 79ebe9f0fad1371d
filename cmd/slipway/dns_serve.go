package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/dnsserver"
)

// dnsServeFlags are the flags as they were written.
type dnsServeFlags struct {
	zones     []string
	listen    []string
	upstream  []string
	noForward bool
	allow     []string
	transfer  []string
	rate      int
}

func newDNSServe(a *app) *cobra.Command {
	var o dnsServeFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve master files, without a cluster",
		Long: `Serve answers for the zones of master files (RFC 1035), and with --upstream it
looks up all other names for the networks of --allow. SIGHUP reads all files
again: what is wrong with them is told, and then the zones stay as they were. A
zone whose records changed needs a higher serial.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.dnsServe(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.zones, "zone", nil, "master `FILE`; each is one zone")
	flags.StringSliceVar(&o.listen, "listen", nil, "`ADDR[:PORT]` to answer on, UDP and TCP")
	flags.StringSliceVar(&o.upstream, "upstream", nil, "`ADDR[:PORT]` of a DNS server that knows the other names")
	flags.BoolVar(&o.noForward, "no-forward", false, "refuse other names, as without --upstream; the two together are an error")
	flags.StringSliceVar(&o.allow, "allow", nil, "`CIDR` that may ask for other names, beside loopback (default: the private networks)")
	flags.StringSliceVar(&o.transfer, "allow-transfer", nil, "`CIDR` that may have whole zones (AXFR)")
	flags.IntVar(&o.rate, "rate-limit", 0, "`N` times a second a network gets the same answer over UDP; 0: no limit")
	return cmd
}

func (a *app) dnsServe(ctx context.Context, o dnsServeFlags) error {
	config, err := o.config()
	if err != nil {
		return usage(err)
	}
	a.patient.Store(true)
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	server := dnsserver.New(dnsserver.Options{})
	defer server.Close()
	zones, err := setZones(server, config, o.zones)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "serving %s on %s\n", zoneNames(zones), addrNames(server.Addrs()))
	releaseStartup()
	ctx, stop := context.WithCancel(ctx)
	var following sync.WaitGroup
	defer following.Wait()
	defer stop()
	following.Go(func() { a.followZones(ctx, reload, server, config, o.zones) })
	return server.Serve(ctx)
}

// followZones reads the files again at each SIGHUP, until ctx ends.
func (a *app) followZones(ctx context.Context, reload <-chan os.Signal, server *dnsserver.Server, config dnsserver.Config, files []string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-reload:
		}
		zones, err := setZones(server, config, files)
		if err != nil {
			fmt.Fprintf(a.stderr, "reload: %s\nreload: still serving the zones as they were\n", strings.ReplaceAll(err.Error(), "\n", "\nreload: "))
			continue
		}
		fmt.Fprintf(a.stderr, "reload: serving %s\n", zoneNames(zones))
	}
}

// setZones serves what the files say, or changes nothing.
func setZones(server *dnsserver.Server, config dnsserver.Config, files []string) ([]dnsserver.Zone, error) {
	var problems []error
	for _, file := range files {
		z, err := readZone(file)
		config.Zones = append(config.Zones, z)
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return config.Zones, server.Set(config)
}

// readZone reads a master file. Relative names are completed with its $ORIGIN;
// without one, with the name of the zone if the owner of the SOA record is
// absolute, and else with the name of the file.
func readZone(file string) (dnsserver.Zone, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return dnsserver.Zone{}, err
	}
	z, err := dnsserver.ParseZone(strings.NewReader(string(text)), originOf(file), file)
	if err != nil {
		return dnsserver.Zone{}, err
	}
	again, err := dnsserver.ParseZone(strings.NewReader(string(text)), z.Name, file)
	if err == nil && again.Name == z.Name {
		return again, nil
	}
	return z, nil
}

// originOf is the zone that a file is called after: mycluster.lab.test,
// mycluster.lab.test.zone, mycluster.lab.test.db or db.mycluster.lab.test.
func originOf(file string) string {
	name := strings.TrimPrefix(filepath.Base(file), "db.")
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".zone"), ".db")
	return strings.TrimSuffix(name, ".") + "."
}

// config is everything but the zones.
func (o dnsServeFlags) config() (c dnsserver.Config, err error) {
	if err := o.check(); err != nil {
		return c, err
	}
	listen, err := parseEach("listen", o.listen, parseServer)
	forward, err2 := o.forward()
	transfer, err3 := parseEach("allow-transfer", o.transfer, parseNetwork)
	c.Listen, c.Forward = listen, forward
	if len(transfer) > 0 {
		c.Transfer = &dnsserver.Transfer{Allow: transfer}
	}
	if o.rate > 0 {
		c.RateLimit = &dnsserver.RateLimit{PerSecond: o.rate}
	}
	return c, errors.Join(err, err2, err3)
}

// check finds flags that are missing or contradict each other.
func (o dnsServeFlags) check() error {
	switch {
	case len(o.zones) == 0:
		return errors.New("--zone is required")
	case len(o.listen) == 0:
		return errors.New("--listen is required")
	case o.noForward && len(o.upstream) > 0:
		return errors.New("--no-forward contradicts --upstream")
	case len(o.allow) > 0 && len(o.upstream) == 0:
		return errors.New("--allow is for other names, which need --upstream")
	case o.rate < 0:
		return fmt.Errorf("--rate-limit %d is below 0", o.rate)
	}
	return nil
}

func (o dnsServeFlags) forward() (*dnsserver.Forward, error) {
	if len(o.upstream) == 0 {
		return nil, nil
	}
	upstreams, err := parseEach("upstream", o.upstream, parseServer)
	allow, err2 := parseEach("allow", o.allow, parseNetwork)
	if len(o.allow) == 0 {
		allow = privateNetworks
	}
	return &dnsserver.Forward{Upstreams: upstreams, Allow: allow}, errors.Join(err, err2)
}

// privateNetworks are those that nobody outside of a site has: RFC 1918, RFC
// 4193 and the link-local ones.
var privateNetworks = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
}

func zoneNames(zones []dnsserver.Zone) string {
	names := make([]string, len(zones))
	for i, z := range zones {
		names[i] = fmt.Sprintf("%s (serial %d)", z.Name, z.Serial)
	}
	return strings.Join(names, ", ")
}

func addrNames(addrs []netip.AddrPort) string {
	names := make([]string, len(addrs))
	for i, a := range addrs {
		names[i] = a.String()
	}
	return strings.Join(names, ", ")
}
