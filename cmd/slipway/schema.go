package main

import (
	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision/spec"
)

func newSchema(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of specs",
		Long: `Schema prints the JSON Schema (2020-12) of specs in JSON (*.hcl.json), for
editors and for programs that write specs. Blocks, attributes and their types
are the same in HCL.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return view.JSON(a.stdout, spec.Schema()) },
	}
}
