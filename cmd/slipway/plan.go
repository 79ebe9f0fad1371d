package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/plan"
	"github.com/slipway-project/slipway/provision/spec"
)

// A planFlags is how the plan is wanted.
type planFlags struct {
	explain, detailed bool
	out               string
}

func newPlan(a *app) *cobra.Command {
	var o planFlags
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what up would do; change nothing",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.plan(cmd.Context(), o) },
	}
	a.runFlags(cmd)
	a.outputFlag(cmd, strings.Join(view.PlanForms, ", "))
	cmd.Flags().BoolVar(&o.explain, "explain", false, "say why: every default of the spec, every change")
	cmd.Flags().StringVar(&o.out, "out", "", "keep the plan in `FILE`, for slipway up FILE")
	cmd.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "end with 0 when there is nothing to do, 2 when there is, 1 when up would refuse")
	return cmd
}

func (a *app) plan(ctx context.Context, o planFlags) error {
	if !slices.Contains(view.PlanForms, a.output) {
		return usage(fmt.Errorf("output %q is none of %s", a.output, strings.Join(view.PlanForms, ", ")))
	}
	if o.out != "" {
		if err := a.pinInputs(); err != nil {
			return err
		}
	}
	p, err := a.project(nil)
	if err != nil {
		return err
	}
	made, err := p.Plan(ctx)
	if err != nil {
		return err
	}
	shown := made
	if o.explain {
		shown.Explain = plan.Explain(p.Cluster(), made)
	}
	if err := view.PlanAs(a.stdout, a.output, shown); err != nil {
		return err
	}
	return a.concludePlan(made, o)
}

// concludePlan keeps the plan and chooses the exit code.
func (a *app) concludePlan(p plan.Plan, o planFlags) error {
	if refused := p.Refused(); refused != nil && (o.detailed || o.out != "") {
		why := fmt.Errorf("up would refuse this plan: %s: %s", refused[0].Name, refused[0].Reason)
		return hint.With(why, refused[0].Next)
	}
	if o.out != "" {
		file := provision.PlanFile{Version: provision.PlanFileVersion, Slipway: version, Written: time.Now().UTC(), Inputs: a.inputs(), Plan: p}
		if err := provision.WritePlanFile(o.out, file); err != nil {
			return err
		}
	}
	if o.detailed && p.Changed() {
		return &exitError{code: provision.ExitUsage}
	}
	return nil
}

// pinInputs makes the paths of the spec absolute: of a plan file they mean the
// same wherever it is carried out.
func (a *app) pinInputs() error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	paths, err := spec.Files(a.files, dir)
	if err != nil {
		return &exitError{provision.ExitSpec, err}
	}
	if slices.Contains(paths, "-") || slices.Contains(a.varFiles, "-") {
		return usage(hint.With(errors.New("a plan file says where the spec is, and standard input cannot be read again"), "write it to a file"))
	}
	a.files, a.varFiles = below(dir, paths), below(dir, a.varFiles)
	if a.override != "" {
		a.override = below(dir, []string{a.override})[0]
	}
	return nil
}

// below makes paths absolute, seen from dir; nil stays nil.
func below(dir string, paths []string) (all []string) {
	for _, p := range paths {
		if !filepath.IsAbs(p) {
			p = filepath.Join(dir, p)
		}
		all = append(all, filepath.Clean(p))
	}
	return all
}

// inputs are what the spec is read from.
func (a *app) inputs() provision.Inputs {
	return provision.Inputs{Files: a.files, Override: a.override, Cluster: a.cluster, Vars: a.vars, VarFiles: a.varFiles}
}
