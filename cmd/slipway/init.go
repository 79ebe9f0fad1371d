package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/spec"
)

type initFlags struct {
	file  string
	force bool
}

func newInit(a *app) *cobra.Command {
	var o initFlags
	cmd := &cobra.Command{
		Use:   "init [" + strings.Join(spec.Templates(), "|") + "]",
		Short: "Write a commented spec to start from",
		Long: `Init writes a commented cluster.hcl to start from: ha (3 control plane nodes and
2 workers, the default), compact (3 nodes that are both), sno (a single node) or
dhcp (as ha, with addresses from your router). What you must replace in it is
marked with "yours".`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: spec.Templates(),
		RunE:      func(_ *cobra.Command, args []string) error { return a.init(append(args, spec.Templates()[0])[0], o) },
	}
	cmd.Flags().StringVarP(&o.file, "file", "f", "cluster.hcl", "`FILE` to write, - for stdout")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace a file that exists")
	return cmd
}

func (a *app) init(template string, o initFlags) error {
	text, ok := spec.Template(template)
	if !ok {
		return usage(fmt.Errorf("template %q is none of %s", template, strings.Join(spec.Templates(), ", ")))
	}
	if o.file == "-" {
		_, err := a.stdout.Write(text)
		return err
	}
	if _, err := os.Lstat(o.file); !errors.Is(err, os.ErrNotExist) && !o.force {
		return hint.With(fmt.Errorf("%s exists already", o.file), "write another file with -f FILE, or replace it with --force")
	}
	if err := atomicfile.Write(o.file, text, 0o644); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "%s: written; replace what is marked with \"yours\", then `slipway validate -f %s`\n", o.file, o.file)
	return err
}
