package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/event"
)

func newSSH(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ssh NODE [-- COMMAND...]",
		Short: "Log in to a node, or run a command there",
		Long: `Log in to a node with ssh(1), the cluster's own key and the host key that slipway
knows the node by; your own keys and known_hosts play no part, your
~/.ssh/config does (a jump host, say). Everything after NODE is the command. The
exit code is that of ssh. NODE may be services where slipway has made a machine
for these (mode = "vm").`,
		Example: "  slipway ssh control-0\n  slipway ssh worker-1 -- sudo journalctl -b -u kubelet",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.ssh(cmd.Context(), args[0], args[1:]) },
	}
	a.specFlags(cmd)
	a.inNetwork(cmd)
	cmd.Flags().SetInterspersed(false)
	cmd.ValidArgsFunction = a.completeFirstNode
	return cmd
}

func (a *app) ssh(ctx context.Context, node string, command []string) error {
	p, err := a.project(event.Func(func(e event.Event) { fmt.Fprintf(a.stderr, "slipway: %s\n", e.Message) }))
	if err != nil {
		return err
	}
	n, err := pickNode(p.Cluster().Placed(), node)
	if err != nil {
		return usage(err)
	}
	program, err := exec.LookPath("ssh")
	if err != nil {
		return hint.With(fmt.Errorf("log in to %s: %w", n.Name, err), "install the OpenSSH client")
	}
	args, err := p.SSH(ctx, n)
	if err != nil {
		return err
	}
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	// Nothing of ours is left to do: ssh gets the terminal, the signals and the
	// exit code.
	return unix.Exec(program, append(append([]string{"ssh"}, args...), command...), os.Environ())
}
