package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/dnsserver/export"
	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/spec"
)

// A clientWay is how a machine is told to ask the cluster's DNS server for the
// cluster's names.
type clientWay struct {
	name, title string
	format      string // of the export that is installed
	suffix      string // of its files that are; "": all
	dir         string // where they go
	after       string // the command that makes them count
}

var clientWays = []clientWay{
	{"resolved", "systemd-resolved", "resolved", ".conf", "/etc/systemd/resolved.conf.d", "sudo systemctl restart systemd-resolved"},
	{"networkmanager", "NetworkManager with dns=dnsmasq", "", "", "/etc/NetworkManager/dnsmasq.d", "sudo nmcli general reload"},
	{"resolver", "macOS", "resolver", "", "/etc/resolver", ""},
	{"nrpt", "Windows, in an elevated PowerShell", "nrpt", "", "", ""},
	{"hosts", "a hosts file, which knows no wildcards", "hosts", "", "", ""},
}

func newDNSClient(a *app) *cobra.Command {
	names := []string{"all"}
	for _, w := range clientWays {
		names = append(names, w.name)
	}
	var way string
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Print how this machine learns the cluster's names",
		Long: `Client prints the commands by which this machine, or one of another kind, asks the
cluster's DNS server for the cluster's names and nobody else's. Slipway itself
never changes how your machine resolves names.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.dnsClient(way, names) },
	}
	a.specFlags(cmd)
	cmd.Flags().StringVar(&way, "for", "", "the resolver, one of "+strings.Join(names, ", ")+" (default: this machine's)")
	_ = cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) dnsClient(name string, names []string) error {
	if name == "" {
		name = localWay().name
	}
	if !slices.Contains(names, name) {
		return usage(fmt.Errorf("--for %q is none of %s", name, strings.Join(names, ", ")))
	}
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	for _, w := range clientWays {
		if name != w.name && name != "all" {
			continue
		}
		text, err := w.commands(p)
		if err != nil {
			return hint.With(err, "name another way with --for")
		}
		if _, err := fmt.Fprintf(a.stdout, "# %s:\n%s", w.title, text); err != nil {
			return err
		}
	}
	return nil
}

// commands are what a person types.
func (w clientWay) commands(p *provision.Project) (string, error) {
	files, err := w.files(p)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, f := range files {
		switch {
		case w.dir != "":
			fmt.Fprintf(&b, "sudo mkdir -p %[1]s && sudo tee %[1]s/%[2]s >/dev/null <<'END'\n%[3]sEND\n", w.dir, f.Name, f.Text)
		case w.name == "hosts":
			fmt.Fprintf(&b, "sudo tee -a /etc/hosts >/dev/null <<'END'\n%sEND\n", f.Text)
		default:
			b.WriteString(f.Text)
		}
	}
	if w.after != "" {
		fmt.Fprintln(&b, w.after)
	}
	return b.String(), nil
}

func (w clientWay) files(p *provision.Project) ([]export.File, error) {
	server, zone := clusterDNS(p.Cluster()), p.Cluster().FullName()
	if w.format == "" {
		at := server.Addr().String()
		if server.Port() != dnsPort {
			at += fmt.Sprintf("#%d", server.Port())
		}
		return []export.File{{Name: "slipway-" + zone + ".conf", Text: "server=/" + zone + "/" + at + "\n"}}, nil
	}
	e, err := export.Build(w.format, p.Services().DNS, export.Options{Server: server, Instead: knownRoutes})
	return slices.DeleteFunc(e.Files, func(f export.File) bool { return !strings.HasSuffix(f.Name, w.suffix) }), err
}

// localWay is the one that this machine's resolver knows.
func localWay() clientWay {
	is := func(name string) clientWay {
		return clientWays[slices.IndexFunc(clientWays, func(w clientWay) bool { return w.name == name })]
	}
	switch {
	case runtime.GOOS == "darwin":
		return is("resolver")
	case runtime.GOOS == "windows":
		return is("nrpt")
	case there("/run/systemd/resolve/stub-resolv.conf"):
		return is("resolved")
	case there("/run/NetworkManager/dnsmasq.pid"), there("/etc/NetworkManager/dnsmasq.d"):
		return is("networkmanager")
	}
	return is("hosts")
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// askHere bounds the question whether this machine knows the cluster's names.
const askHere = 2 * time.Second

// tellClient says at the hand-over whether this machine knows the cluster's
// names, and if not, how it learns them.
func tellClient(ctx context.Context, w io.Writer, p *provision.Project) error {
	c := p.Cluster()
	if c.Services.DNS.Mode != spec.DNSEmbedded || resolvesHere(ctx, c) {
		return nil
	}
	way := localWay()
	text, err := way.commands(p)
	if err != nil { // Windows asks port 53 alone
		return nil
	}
	_, err = fmt.Fprintf(w, "\nThis machine does not know the cluster's names yet. With %s:\n\n%s\n`slipway dns client --for all` prints other ways.\n", way.title, text)
	return err
}

func resolvesHere(ctx context.Context, c spec.Cluster) bool {
	ctx, cancel := context.WithTimeout(ctx, askHere)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, "api."+c.FullName()+".")
	return err == nil && slices.ContainsFunc(c.Services.API(), func(a netip.Addr) bool { return slices.Contains(addresses, a.String()) })
}
