package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision"
)

type kubeconfigFlags struct{ path, merge, unmerge, password bool }

func newKubeconfig(a *app) *cobra.Command {
	var f kubeconfigFlags
	cmd := &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the cluster's kubeconfig, or merge it into yours",
		Long: `Print the cluster's kubeconfig, or where it is. --merge puts it into the first
file of $KUBECONFIG, else ~/.kube/config, as context slipway-NAME, which becomes
the current one; all other entries stay as they are. --unmerge takes exactly
that out again, also after the cluster is gone.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.kubeconfig(f) },
	}
	a.specFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.path, "path", false, "print the file's path only")
	flags.BoolVar(&f.merge, "merge", false, "merge it into your own kubeconfig")
	flags.BoolVar(&f.unmerge, "unmerge", false, "take it out of your own kubeconfig")
	flags.BoolVar(&f.password, "show-password", false, "print the password of user kubeadmin instead")
	return cmd
}

func (a *app) kubeconfig(f kubeconfigFlags) error {
	if several(f.path, f.merge, f.unmerge, f.password) {
		return usage(errors.New("--path, --merge, --unmerge and --show-password exclude each other"))
	}
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	switch {
	case f.unmerge:
		return a.unmerge(p.Cluster())
	case f.password:
		return a.printCredential(p, p.Password(), "password")
	case !f.path && !f.merge:
		return a.printCredential(p, p.Kubeconfig(), "kubeconfig")
	}
	data, err := credential(p, p.Kubeconfig(), "kubeconfig")
	if err != nil {
		return err
	}
	if f.merge {
		return a.merge(p.Cluster(), data)
	}
	_, err = fmt.Fprintln(a.stdout, p.Kubeconfig())
	return err
}

func (a *app) printCredential(p *provision.Project, path, what string) error {
	data, err := credential(p, path, what)
	if err == nil {
		_, err = a.stdout.Write(data)
	}
	return err
}

// credential reads a file that `up` keeps at the end of an installation.
func credential(p *provision.Project, path, what string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint.With(fmt.Errorf("%s has no %s yet", p.Cluster().FullName(), what), "`slipway up` fetches it once the installation has ended")
	}
	return data, err
}

func several(given ...bool) bool {
	n := 0
	for _, g := range given {
		if g {
			n++
		}
	}
	return n > 1
}
