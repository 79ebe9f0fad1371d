package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/spec"
)

type fmtFlags struct {
	files []string
	check bool
}

func newFmt(a *app) *cobra.Command {
	var o fmtFlags
	cmd := &cobra.Command{
		Use:   "fmt",
		Short: "Format specs in place, and list those that were changed",
		Long: `Fmt brings specs into the canonical format of HCL: two spaces a block, equals
signs and comments aligned. It moves white space only, and lists the files it
changed. Standard input (-f -) goes to standard output. JSON is left as it is.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.fmt(o) },
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&o.files, "file", "f", nil, "spec `FILE` or directory, - for stdin (default cluster.hcl)")
	flags.BoolVar(&o.check, "check", false, "change nothing: list what is not formatted, and exit 1 if there is any")
	return cmd
}

func (a *app) fmt(o fmtFlags) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	paths, err := spec.Files(o.files, dir)
	if err != nil {
		return &exitError{provision.ExitSpec, err}
	}
	found := 0
	for _, path := range paths {
		changed, err := a.fmtFile(path, o.check)
		if err != nil {
			return err
		}
		if changed {
			found++
		}
	}
	if o.check && found > 0 {
		return hint.With(errors.New("not all specs are formatted"), "run `slipway fmt` with the same -f")
	}
	return nil
}

// fmtFile formats one file, or only says that it is to be.
func (a *app) fmtFile(path string, check bool) (changed bool, err error) {
	text, name, err := a.text(path)
	if err != nil {
		return false, fmt.Errorf("format: %w", err)
	}
	formatted, diags, files := spec.Rewrite(name, text)
	if err := a.diagnose(reading{files: files}, diags); err != nil {
		return false, err
	}
	changed = string(formatted) != string(text)
	switch {
	case path == "-" && !check:
		_, err = a.stdout.Write(formatted)
		return changed, err
	case !changed:
		return false, nil
	case !check:
		err = replace(path, formatted)
	}
	if err == nil {
		_, err = fmt.Fprintln(a.stdout, name)
	}
	return true, err
}

// text reads the file at path; "-" is standard input.
func (a *app) text(path string) (text []byte, name string, err error) {
	if path == "-" {
		text, err = io.ReadAll(a.stdin)
		return text, "<stdin>", err
	}
	text, err = os.ReadFile(path)
	return text, path, err
}

// replace keeps the mode of the file, and a symbolic link to it.
func replace(path string, text []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, text, info.Mode().Perm())
}
