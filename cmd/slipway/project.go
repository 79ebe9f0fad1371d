package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/event"
	installers "github.com/slipway-project/slipway/provision/installer/all"
	providers "github.com/slipway-project/slipway/provision/provider/all"
	"github.com/slipway-project/slipway/provision/spec"
)

// A reading is a spec as it was read, with the sources to point into.
type reading struct {
	*spec.Spec
	files map[string]*hcl.File
}

// read loads the spec, and prints every diagnostic it has.
func (a *app) read() (reading, error) {
	dir, err := os.Getwd()
	if err != nil {
		return reading{}, err
	}
	paths, err := spec.Files(a.files, dir)
	if err != nil {
		return reading{}, &exitError{provision.ExitSpec, err}
	}
	if err := a.keepInput(); err != nil {
		return reading{}, err
	}
	loaded, diags, files := spec.Load(paths, spec.Options{
		Override: a.override, LookupEnv: os.LookupEnv, Stdin: bytes.NewReader(a.typed),
		Vars: a.vars, VarFiles: a.varFiles,
		ProviderTypes: providers.Types(), ValidateProvider: providers.Validate,
		InstallerTypes: installers.Types(), ValidateInstaller: installers.Validate,
	})
	r := reading{loaded, files}
	return r, a.diagnose(r, diags)
}

// keepInput reads standard input once, if a spec is there: it is read again by
// a verb that looks for its network first, and by those in a rehearsal.
func (a *app) keepInput() error {
	if a.typed != nil || !slices.Contains(a.files, "-") {
		return nil
	}
	text, err := io.ReadAll(a.stdin)
	if err != nil {
		return fmt.Errorf("read the spec from standard input: %w", err)
	}
	a.typed = text
	return nil
}

// diagnose prints diagnostics; errors among them end the verb with exit 3.
func (a *app) diagnose(r reading, diags hcl.Diagnostics) error {
	if err := spec.Format(diags, r.files, a.stderr, a.color(), 0); err != nil {
		return err
	}
	a.annotate(diags)
	if diags.HasErrors() {
		return &exitError{code: provision.ExitSpec}
	}
	return nil
}

// pick chooses the one cluster, or the one that --cluster names.
func (a *app) pick(r reading) (spec.Cluster, error) {
	var names []string
	for _, c := range r.Clusters {
		if a.cluster == c.Name || (a.cluster == "" && len(r.Clusters) == 1) {
			return c, nil
		}
		names = append(names, c.Name)
	}
	if a.cluster != "" {
		return spec.Cluster{}, usage(fmt.Errorf("the spec has no cluster %q, only %s", a.cluster, strings.Join(names, ", ")))
	}
	return spec.Cluster{}, usage(hint.With(fmt.Errorf("the spec has several clusters: %s", strings.Join(names, ", ")), "choose one with --cluster NAME"))
}

// project reads the spec and opens its cluster.
func (a *app) project(sink event.Sink) (*provision.Project, error) {
	r, err := a.read()
	if err != nil {
		return nil, err
	}
	cluster, err := a.pick(r)
	if err != nil {
		return nil, err
	}
	options, err := a.options(sink)
	if err != nil {
		return nil, err
	}
	p, diags := provision.Open(cluster, options)
	return p, a.diagnose(r, onlyErrors(diags))
}

// onlyErrors leaves out the warnings, which reading the spec has told.
func onlyErrors(diags hcl.Diagnostics) (errs hcl.Diagnostics) {
	for _, d := range diags {
		if d.Severity == hcl.DiagError {
			errs = append(errs, d)
		}
	}
	return errs
}

func (a *app) options(sink event.Sink) (provision.Options, error) {
	home, err := a.stateHome()
	if err != nil {
		return provision.Options{}, err
	}
	exe, err := os.Executable()
	if err != nil {
		return provision.Options{}, err
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		return provision.Options{}, err
	}
	pace := pace.Pace(1)
	if a.pace != 0 {
		if pace, err = a.speed(); err != nil {
			return provision.Options{}, err
		}
	}
	return provision.Options{Home: home, Exe: exe, Pace: pace, Sink: sink,
		LookupEnv: os.LookupEnv, Crash: crashHook(os.Getenv("SLIPWAY_CRASH"))}, nil
}

// told opens the project with the progress view that --progress asks for.
func (a *app) told(w io.Writer) (*provision.Project, view.Progress, error) {
	home, err := a.stateHome()
	if err != nil {
		return nil, nil, err
	}
	timings := provision.OpenTimings(home)
	progress, err := a.newProgress(w, timings.Left)
	if err != nil {
		return nil, nil, err
	}
	var sink event.Sink = progress
	if a.pace == 1 { // a rehearsal teaches nothing about hardware
		sink = timings.Watch(progress)
	}
	p, err := a.project(sink)
	if err != nil {
		progress.Close()
		return nil, nil, err
	}
	return p, progress, nil
}
