package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/loadbalancer"
)

// lbRenderFlags are the flags of `lb render` as they were written.
type lbRenderFlags struct {
	format, device, runDir string
	maxConn                int
}

// lbFormats are what `lb render` can write.
var lbFormats = []string{"haproxy", "nginx", "keepalived-haproxy"}

func newLBRender(a *app) *cobra.Command {
	var o lbRenderFlags
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Print the load balancer's configuration",
		Long: `Render prints what a load balancer of your own needs for the cluster: the
configuration that slipway gives its haproxy, the stream block of an nginx, or a
pair of hosts with haproxy that share the services address by keepalived. It is
written for the haproxy of this machine, else for 2.4. Nothing is contacted.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.lbRender(cmd.Context(), o) },
	}
	a.specFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.format, "format", "haproxy", "what to write: "+strings.Join(lbFormats, ", "))
	flags.StringVar(&o.device, "interface", "", "`NAME` of the network interface that keepalived moves the address to")
	flags.StringVar(&o.runDir, "run-dir", "/run/haproxy", "directory of haproxy's sockets and server states")
	flags.IntVar(&o.maxConn, "maxconn", 0, "`N` connections in all (default: what the file limit of this machine allows)")
	return cmd
}

func (a *app) lbRender(ctx context.Context, o lbRenderFlags) error {
	if err := o.check(); err != nil {
		return usage(err)
	}
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	text, err := o.render(ctx, p.Balancers()[0])
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.stdout, text)
	return err
}

func (o lbRenderFlags) check() error {
	switch {
	case !slices.Contains(lbFormats, o.format):
		return fmt.Errorf("format %q is none of %s", o.format, strings.Join(lbFormats, ", "))
	case o.format == "keepalived-haproxy" && o.device == "":
		return hint.With(errors.New("keepalived needs --interface"), "name the interface of the machine network, such as eth0")
	case o.format != "keepalived-haproxy" && o.device != "":
		return errors.New("--interface is for --format keepalived-haproxy")
	case o.maxConn < 0:
		return fmt.Errorf("--maxconn %d is below 0", o.maxConn)
	}
	return nil
}

func (o lbRenderFlags) render(ctx context.Context, c loadbalancer.Config) (string, error) {
	if o.format == "nginx" {
		text, err := loadbalancer.RenderNginx(c)
		return string(text), err
	}
	text, err := o.haproxy(ctx, c)
	if err != nil || o.format == "haproxy" {
		return text, err
	}
	keepalived, err := loadbalancer.RenderKeepalived(c, o.device, o.runDir)
	return fmt.Sprintf(`# On each of the hosts, in this order:
#   sysctl -w net.ipv4.ip_nonlocal_bind=1 net.ipv6.ip_nonlocal_bind=1
#   the two files, then restart haproxy and keepalived

# /etc/haproxy/haproxy.cfg
%s
# /etc/keepalived/keepalived.conf
%s`, text, keepalived), err
}

func (o lbRenderFlags) haproxy(ctx context.Context, c loadbalancer.Config) (string, error) {
	env := loadbalancer.Env{Version: loadbalancer.Oldest, RunDir: o.runDir, MaxConn: o.maxConn}
	if found, err := loadbalancer.Find(ctx); err == nil {
		env.Version = found.Version
	}
	if env.MaxConn == 0 {
		n, err := loadbalancer.MaxConn()
		if err != nil {
			return "", err
		}
		env.MaxConn = n
	}
	text, err := loadbalancer.Render(c, env)
	return string(text), err
}
