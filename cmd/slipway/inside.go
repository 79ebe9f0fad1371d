package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/provision"
)

// insideVariable tells a verb that it runs in the cluster's private network.
const insideVariable = "SLIPWAY_INSIDE"

// inNetwork has a verb run in the private network of its cluster, where there
// is one.
func (a *app) inNetwork(cmd *cobra.Command) {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return a.enterNetwork(cmd.Context(), false) }
}

// enterNetwork makes this process one that runs the same command in the private
// network of its cluster; with ensure, the network is made first. Where there
// is none it does nothing, and whatever is wrong with the spec is left for the
// verb to say.
func (a *app) enterNetwork(ctx context.Context, ensure bool) error {
	if os.Getenv(insideVariable) != "" {
		return nil
	}
	p, err := a.quietProject()
	if err != nil || p == nil {
		return nil
	}
	network, err := p.Network(ctx, ensure)
	if err != nil || network == nil {
		return err
	}
	a.tellPublished(p, network)
	if a.typed != nil {
		if err := retype(a.typed); err != nil {
			return fmt.Errorf("pass the spec on: %w", err)
		}
	}
	return become(ctx, network.Enter)
}

// quietProject opens the project without a word.
func (a *app) quietProject() (*provision.Project, error) {
	stderr := a.stderr
	a.stderr = io.Discard
	defer func() { a.stderr = stderr }()
	return a.project(nil)
}

// retype has what was read from standard input read there again.
func retype(text []byte) error {
	f, err := os.CreateTemp("", "slipway-")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return unix.Dup2(int(f.Fd()), 0)
}

// become runs this very command line behind prefix, in the place of this
// process.
func become(ctx context.Context, prefix []string) error {
	program, err := exec.LookPath(prefix[0])
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	argv := append(append(slices.Clone(prefix), self), os.Args[1:]...)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%s: %w", program, syscall.Exec(program, argv, append(os.Environ(), insideVariable+"=1")))
}

// tellPublished says where this host reaches what is inside.
func (a *app) tellPublished(p *provision.Project, n *provision.Network) {
	if len(n.Published) == 0 {
		return
	}
	for _, at := range n.Published {
		fmt.Fprintf(a.stderr, "private network: %s is %s on this host\n", at.Inside, at.Host)
	}
	full := p.Cluster().FullName()
	names := []string{"api." + full, "console-openshift-console.apps." + full, "oauth-openshift.apps." + full}
	fmt.Fprintf(a.stderr, "for its names here, in /etc/hosts: %s %s\n", n.Published[0].Host.Addr(), strings.Join(names, " "))
}
