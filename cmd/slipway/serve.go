package main

import (
	"context"
	"errors"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/provision/services"
)

func newServe(a *app) *cobra.Command {
	var o services.ServeOptions
	var install, uninstall, noFirewall bool
	var mediaDir, mediaListen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run DNS and load balancer as a services document says",
		Long: `Serve answers DNS itself and runs the load balancer, a haproxy or its own, as the
services document says, and follows the document without a restart. ` + "`slipway up`" + `
starts it detached; it ends by SIGTERM, by ` + "`slipway serve stop`" + ` or by ` + "`slipway down`" + `.
A service manager is told when it is ready, stopping and alive (sd_notify(3)).

With --install it becomes a systemd service of this host, as root: the program,
haproxy from the host's packages, the ports of firewalld or ufw, SELinux's
boolean, and a unit with few privileges. --uninstall takes back exactly that.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			media, err := parseMedia(mediaDir, mediaListen)
			o.Media = media
			switch {
			case err != nil:
				return usage(err)
			case (install || uninstall) && mediaDir != "":
				return usage(errors.New("--media is for a serve that runs here: --install makes a service without"))
			case install && uninstall:
				return usage(errors.New("--install and --uninstall exclude each other"))
			case noFirewall && !install:
				return usage(errors.New("--no-firewall goes with --install"))
			case install:
				return a.serveInstall(cmd.Context(), o.Owner, o.Document, noFirewall)
			case uninstall:
				return a.serveUninstall(cmd.Context(), o.Owner)
			}
			return a.serve(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Document, "document", "", "services document (JSON) to follow; with --install, - for stdin")
	flags.BoolVar(&install, "install", false, "make it a systemd service of this host")
	flags.BoolVar(&uninstall, "uninstall", false, "take that service away again")
	flags.BoolVar(&noFirewall, "no-firewall", false, "leave the firewall alone when installing")
	flags.StringVar(&o.RunDir, "run-dir", "", "directory of sockets and the haproxy configuration")
	flags.StringVar(&o.Owner, "owner", "", "full name of the cluster that is served")
	flags.StringVar(&mediaDir, "media", "", "serve the *.iso files in `DIR` over HTTP as well, to whoever reaches the address")
	flags.StringVar(&mediaListen, "media-listen", "", "`ADDR:PORT` to serve them at: one address of this host")
	cmd.AddCommand(newServeApply(a), newServeStatus(a), newServeStop(a))
	return cmd
}

// parseMedia reads --media and --media-listen, which go together.
func parseMedia(dir, listen string) (services.Media, error) {
	if dir == "" && listen == "" {
		return services.Media{}, nil
	}
	at, err := netip.ParseAddrPort(listen)
	if dir == "" || err != nil {
		return services.Media{}, errors.New("--media and --media-listen go together: --media DIR --media-listen ADDR:PORT")
	}
	return services.Media{Dir: dir, Listen: at}, nil
}

func (a *app) serve(ctx context.Context, o services.ServeOptions) error {
	for name, value := range map[string]string{"document": o.Document, "run-dir": o.RunDir, "owner": o.Owner} {
		if value == "" {
			return usage(errors.New("--" + name + " is required"))
		}
	}
	a.patient.Store(true)
	manager, err := findManager()
	if err != nil {
		return err
	}
	defer manager.close()
	o.Log = a.stderr
	o.Ready = func() { manager.tell("READY=1"); releaseStartup() }
	o.Alive = func() { manager.tell("WATCHDOG=1") }
	o.Stopping = func() { manager.tell("STOPPING=1") }
	return services.Serve(ctx, o)
}
