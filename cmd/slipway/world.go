package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/rehearsal"
)

// newWorld is `rehearse world`: the simulated datacentre alone.
func newWorld(a *app, o *rehearseFlags) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "world",
		Short: "Serve the simulated datacentre alone, until Ctrl-C",
		Long: `World serves the datacentre that the given specs need and prints one line
of JSON when it is ready: its process, the command line that enters it, and the
environment in which slipway works there. Each -f is a spec of its own; their
datacentres are joined.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.world(cmd.Context(), *o, output) },
	}
	cmd.Flags().StringArrayVarP(&a.files, "file", "f", nil, "spec `FILE` or directory, a spec of its own each (default cluster.hcl)")
	a.varFlags(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "json", "form of the ready line: json")
	return cmd
}

func (a *app) world(ctx context.Context, o rehearseFlags, output string) (err error) {
	if output != "json" {
		return usage(fmt.Errorf("output %q is not json", output))
	}
	a.patient.Store(true)
	specs := [][]string{nil}
	if len(a.files) > 0 {
		specs = nil
	}
	for _, f := range a.files {
		specs = append(specs, []string{f})
	}
	w, err := a.openWorld(ctx, o, specs, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := json.NewEncoder(a.stdout).Encode(w.process.Ready); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-w.process.Done():
		return errors.New("the world has ended by itself")
	}
}

// newInside is what the world's own process runs in its namespaces.
func newInside(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "inside", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.steady.Store(true)
			return rehearsal.Serve(cmd.Context())
		},
	}
}

// A world is a simulated datacentre in a process of its own, and slipway as
// its client.
type world struct {
	*datacentre
	app     *app
	exe     string
	process *rehearsal.Process
}

// openWorld starts the datacentre that the specs, each a list of files, need,
// unless refuse, which may be nil, has something against them.
func (a *app) openWorld(ctx context.Context, o rehearseFlags, specs [][]string, refuse func([]reading) error) (*world, error) {
	if err := o.check(); err != nil {
		return nil, usage(err)
	}
	readings, err := a.readEach(specs)
	if err == nil && refuse != nil {
		err = refuse(readings)
	}
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := worldDir()
	if err != nil {
		return nil, err
	}
	w := &world{app: a, exe: exe}
	if err := w.open(ctx, dir, o, readings); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return w, nil
}

func (w *world) open(ctx context.Context, dir string, o rehearseFlags, specs []reading) (err error) {
	if w.datacentre, err = newDatacentre(w.app, dir, o, specs); err != nil {
		return err
	}
	if err := o.machines.prepare(ctx, w.exe, w.datacentre); err != nil {
		return err
	}
	w.config.Faults = o.faults
	w.process, err = rehearsal.Start(ctx, w.config, []string{w.exe, "rehearse", "inside"})
	if err != nil {
		return err
	}
	if err := w.write(w.process.Ready); err != nil {
		return errors.Join(err, w.close())
	}
	return nil
}

func (a *app) readEach(specs [][]string) (readings []reading, err error) {
	files := a.files
	defer func() { a.files = files }()
	for _, spec := range specs {
		a.files = spec
		r, err := a.read()
		if err != nil {
			return nil, err
		}
		readings = append(readings, r)
	}
	return readings, nil
}

// close ends the world and removes its directory.
func (w *world) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), takeDown)
	defer cancel()
	return errors.Join(w.process.Stop(ctx), os.RemoveAll(w.config.Dir))
}

// command is slipway as a client inside the world: the user's environment
// stays outside.
func (w *world) command(ctx context.Context, args ...string) *exec.Cmd {
	argv := append(append([]string{}, w.process.Ready.Enter...), w.exe)
	argv = append(argv, args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	for _, f := range w.app.files {
		cmd.Args = append(cmd.Args, "-f", f)
	}
	if w.app.cluster != "" {
		cmd.Args = append(cmd.Args, "--cluster", w.app.cluster)
	}
	cmd.Env = w.environment()
	cmd.Stdin = bytes.NewReader(w.app.typed)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = takeDown
	// Ctrl-C reaches slipway through Cancel, once, and not from the terminal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// environment is what slipway sees inside: of the user's, what programs need
// to run at all; the world's has the values of the spec's variables.
func (w *world) environment() []string {
	var env []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if slices.Contains([]string{"PATH", "HOME", "TERM", "LANG", "TMPDIR"}, name) {
			env = append(env, pair)
		}
	}
	for name, value := range w.process.Ready.Env {
		env = append(env, name+"="+value)
	}
	return env
}

// slipway runs one verb inside and passes its exit code on.
func (w *world) slipway(ctx context.Context, stdout, stderr io.Writer, args ...string) error {
	cmd := w.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return w.verdict(ctx, args[0], cmd.Run())
}

// verdict turns a verb's exit into ours; it has said why itself.
func (w *world) verdict(ctx context.Context, verb string, err error) error {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return &exitError{exit.ExitCode(), nil}
	case err != nil:
		return fmt.Errorf("slipway %s: %w", verb, err)
	}
	return nil
}

// story runs a verb inside and retells its events; the answer of up and the
// seconds of its phases go into the report.
func (w *world) story(ctx context.Context, progress event.Sink, r *rehearsalReport, args ...string) error {
	cmd := w.command(ctx, append(args, "--progress", "json")...)
	var answer bytes.Buffer
	cmd.Stdout = &answer
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("slipway %s: %w", args[0], err)
	}
	w.retell(stderr, progress, r)
	if err := w.verdict(ctx, args[0], cmd.Wait()); err != nil || args[0] != "up" {
		return err
	}
	return r.result(answer.Bytes())
}

// retell draws the event lines of a stream and passes on all other lines,
// which are errors and hints.
func (w *world) retell(stream io.Reader, progress event.Sink, r *rehearsalReport) {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event.Event
		switch {
		case !strings.HasPrefix(lines.Text(), "{"):
			fmt.Fprintln(w.app.stderr, lines.Text())
		case json.Unmarshal(lines.Bytes(), &e) == nil && e.Kind != "":
			progress.Emit(e)
			r.note(e)
		}
	}
}

// note keeps the seconds of phases, and those of down as one.
func (r *rehearsalReport) note(e event.Event) {
	switch {
	case e.Kind == event.PhaseDone && e.Phase != "teardown":
		r.Phases = append(r.Phases, phaseSeconds{e.Phase, e.Seconds})
	case e.Kind == event.RunDone && e.Verb == "down":
		r.Phases = append(r.Phases, phaseSeconds{"down", e.Seconds})
	}
}

// faults asks the world what it was made to do wrong.
func (w *world) faults(ctx context.Context) ([]rehearsal.Fault, error) {
	if len(w.config.Faults) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return rehearsal.NewControl(w.config.Dir).Faults(ctx)
}

// residue asks the world, never slipway's state, what is left.
func (w *world) residue(ctx context.Context, r *rehearsalReport) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	paths := []string{filepath.Join(w.config.Dir, "home"), w.machinesDir()}
	residue, err := rehearsal.NewControl(w.config.Dir).Residue(ctx, nil, paths)
	if residue == nil {
		residue = []string{}
	}
	r.Residue = residue
	return err
}
