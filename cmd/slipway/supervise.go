package main

import (
	"context"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/provision/provider/qemu"
)

// newQEMU is what the provider qemu starts, and nobody else.
func newQEMU(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "qemu", Short: "Inner verbs of provider qemu", Hidden: true, Args: cobra.NoArgs}
	cmd.AddCommand(
		a.inner("supervise", "Keep the machines of a cluster", func(ctx context.Context, dir, owner string) error {
			return qemu.Supervise(ctx, qemu.SuperviseOptions{Dir: dir, Owner: owner, Log: a.stderr})
		}),
		a.inner("network", "Keep the private network of a cluster", qemu.Hold),
	)
	return cmd
}

// inner is a verb that runs until it is told to end. QEMU makes sockets and
// logs that all may read, but for the umask.
func (a *app) inner(name, short string, run func(ctx context.Context, dir, owner string) error) *cobra.Command {
	var dir, owner string
	cmd := &cobra.Command{
		Use: name, Short: short, Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.patient.Store(true)
			syscall.Umask(0o077)
			return run(cmd.Context(), dir, owner)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory of the provider")
	cmd.Flags().StringVar(&owner, "owner", "", "full name of the cluster")
	_ = cmd.MarkFlagRequired("dir")
	_ = cmd.MarkFlagRequired("owner")
	return cmd
}
