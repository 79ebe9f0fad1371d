package main

import (
	"context"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/provision/provider/qemu"
)

// newQEMU is what the provider qemu starts, and nobody else.
func newQEMU(a *app) *cobra.Command {
	var o qemu.SuperviseOptions
	supervise := &cobra.Command{
		Use:    "supervise",
		Short:  "Keep the machines of a cluster, for provider qemu",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE:   func(cmd *cobra.Command, _ []string) error { return a.supervise(cmd.Context(), o) },
	}
	supervise.Flags().StringVar(&o.Dir, "dir", "", "directory of the provider")
	supervise.Flags().StringVar(&o.Owner, "owner", "", "full name of the cluster")
	_ = supervise.MarkFlagRequired("dir")
	_ = supervise.MarkFlagRequired("owner")
	cmd := &cobra.Command{Use: "qemu", Short: "Inner verbs of provider qemu", Hidden: true, Args: cobra.NoArgs}
	cmd.AddCommand(supervise)
	return cmd
}

func (a *app) supervise(ctx context.Context, o qemu.SuperviseOptions) error {
	a.patient.Store(true)
	syscall.Umask(0o077) // QEMU makes sockets and logs that all may read
	o.Log = a.stderr
	return qemu.Supervise(ctx, o)
}
