package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/hint"
)

func newKubeconfig(a *app) *cobra.Command {
	var path bool
	cmd := &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the cluster's kubeconfig, or where it is",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.kubeconfig(path) },
	}
	a.specFlags(cmd)
	cmd.Flags().BoolVar(&path, "path", false, "print the file's path only")
	return cmd
}

func (a *app) kubeconfig(path bool) error {
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(p.Kubeconfig())
	if errors.Is(err, fs.ErrNotExist) {
		return hint.With(fmt.Errorf("%s has no kubeconfig yet", p.Cluster().FullName()), "`slipway up` fetches it once the installation has ended")
	}
	if err != nil {
		return err
	}
	if path {
		_, err = fmt.Fprintln(a.stdout, p.Kubeconfig())
		return err
	}
	_, err = a.stdout.Write(data)
	return err
}
