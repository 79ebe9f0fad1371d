package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/provision"
)

func newValidate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a spec; contact nothing, read no secret",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.validate() },
	}
	a.specFlags(cmd)
	return cmd
}

func (a *app) validate() error {
	r, err := a.read()
	if err != nil {
		return err
	}
	options, err := a.options(nil)
	if err != nil {
		return err
	}
	for _, c := range r.Clusters {
		_, diags := provision.Open(c, options)
		if err := a.diagnose(r, onlyErrors(diags)); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(a.stdout, "%s: valid\n", strings.Join(r.Files, ", "))
	return err
}
