package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/rehearsal"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

// defaultSpeed turns the 35 minutes of a simulated installation into seconds.
const defaultSpeed = 100

// takeDown is how long a world may take to end.
const takeDown = 20 * time.Second

type rehearseFlags struct {
	speed  float64
	faults []string
	keep   bool

	machines machineFlags
}

func (o rehearseFlags) check() error {
	if o.speed < 1 || o.speed > 1000 {
		return fmt.Errorf("--speed %v is not between 1 and 1000", o.speed)
	}
	for _, f := range o.faults {
		if _, err := pve.ParseFault(f); err != nil {
			return hint.With(err, "the faults are listed in docs/providers/proxmox-simulated.md#faults")
		}
	}
	return o.machines.check()
}

func newRehearse(a *app) *cobra.Command {
	var o rehearseFlags
	cmd := &cobra.Command{
		Use:   "rehearse",
		Short: "Run a spec through the real up and down against a simulated datacentre",
		Long: `Rehearse takes your spec through the real up and down against a simulated
datacentre in network namespaces: a Proxmox VE API, an assisted service, and
machines that boot, ask DNS, go through the load balancer, and join. Nothing
of yours is contacted and no secret of yours is read.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.rehearse(cmd.Context(), o) },
	}
	a.fileFlags(cmd)
	a.varFlags(cmd)
	a.progressFlag(cmd)
	a.outputFlag(cmd, "table, json")
	cmd.Flags().BoolVar(&o.keep, "keep", false, "keep the cluster and its world until Ctrl-C")
	cmd.PersistentFlags().Float64Var(&o.speed, "speed", defaultSpeed, "simulated hardware is `N` times faster than real")
	cmd.PersistentFlags().StringArrayVar(&o.faults, "fault", nil, "let something go wrong: `NAME[,KEY=VALUE...]`, such as lost-reply,times=3")
	o.machines.register(cmd.PersistentFlags())
	cmd.AddCommand(newWorld(a, &o), newInside(a))
	return cmd
}

// A report is what `rehearse -o json` answers.
type rehearsalReport struct {
	Version    int                    `json:"version"`
	Cluster    string                 `json:"cluster"`
	Nodes      []provision.NodeResult `json:"nodes"`
	Console    string                 `json:"console"`
	Kubeconfig string                 `json:"kubeconfig"`
	Password   string                 `json:"password"`
	Phases     []phaseSeconds         `json:"phases"`
	Faults     []rehearsal.Fault      `json:"faults,omitempty"`
	Residue    []string               `json:"residue"`
}

type phaseSeconds struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

func (a *app) rehearse(ctx context.Context, o rehearseFlags) (err error) {
	asJSON, err := a.json()
	if err != nil {
		return err
	}
	a.patient.Store(true)
	w, err := a.openWorld(ctx, o, [][]string{a.files}, foreign)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	r, err := a.perform(ctx, w, o.keep)
	faults, asked := w.faults(ctx)
	if err != nil {
		tellFaults(a.stderr, faults)
		return err
	}
	r.Faults = faults
	return errors.Join(a.conclude(r, asJSON), asked)
}

func tellFaults(w io.Writer, faults []rehearsal.Fault) {
	for _, f := range faults {
		fmt.Fprintf(w, "Fault:       %s has struck %d times at %s\n", f.Text, f.Hits, f.Hypervisor)
	}
}

// perform is the play: plan, up, the result, down, what is left.
func (a *app) perform(ctx context.Context, w *world, keep bool) (*rehearsalReport, error) {
	progress, err := a.newProgress(a.stderr, nil)
	if err != nil {
		return nil, err
	}
	defer func() { progress.Close() }()
	if err := a.prologue(ctx, w); err != nil {
		return nil, err
	}
	r := &rehearsalReport{Version: 1}
	if err := w.story(ctx, progress, r, "up", "--yes", "-o", "json"); err != nil {
		return nil, err
	}
	if keep {
		progress.Close() // no heartbeat while nothing is under way
		if err := a.keep(ctx, w, r); err != nil {
			return nil, err
		}
		ctx = context.WithoutCancel(ctx)
		progress, _ = a.newProgress(a.stderr, nil)
	}
	if err := w.story(ctx, progress, r, "down", "--yes"); err != nil {
		return nil, err
	}
	return r, w.residue(ctx, r)
}

// prologue says what is replaced and shows the plan, to people.
func (a *app) prologue(ctx context.Context, w *world) error {
	if a.progress == "json" || a.progress == "none" {
		return nil
	}
	fmt.Fprintf(a.stderr, "Rehearsal. Replaced for it:\n%s\n\n", strings.Join(w.replaced, "\n"))
	return w.slipway(ctx, a.stderr, a.stderr, "plan", "-o", "table")
}

// keep shows the result and the way in, and waits for Ctrl-C.
func (a *app) keep(ctx context.Context, w *world, r *rehearsalReport) error {
	if err := a.handOver(provision.Result{Cluster: r.Cluster, Nodes: r.Nodes, Console: r.Console, Kubeconfig: r.Kubeconfig, Password: r.Password}); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\nThe way in:\n  %s COMMAND\nIt is kept until Ctrl-C.\n", strings.Join(w.process.Ready.Enter, " "))
	select {
	case <-ctx.Done():
		return nil
	case <-w.process.Done():
		return errors.New("the world has ended by itself")
	}
}

func (a *app) conclude(r *rehearsalReport, asJSON bool) error {
	if asJSON {
		return errors.Join(view.JSON(a.stdout, r), leftovers(r))
	}
	err := view.Table(a.stdout, nodeHeads, nodeRows(r.Nodes))
	fmt.Fprintf(a.stdout, "\nConsole:     %s\nKubeconfig:  %s (gone with the rehearsal)\nPassword:    %s (gone with the rehearsal)\n", r.Console, r.Kubeconfig, r.Password)
	fmt.Fprintln(a.stdout, "Phases:      "+phaseLine(r.Phases))
	tellFaults(a.stdout, r.Faults)
	if len(r.Residue) == 0 {
		fmt.Fprintln(a.stdout, "Residue:     none")
	}
	return errors.Join(err, leftovers(r))
}

func leftovers(r *rehearsalReport) error {
	if len(r.Residue) == 0 {
		return nil
	}
	return &exitError{provision.ExitPartial, fmt.Errorf("down left behind: %s", strings.Join(r.Residue, ", "))}
}

func phaseLine(phases []phaseSeconds) string {
	parts := make([]string, len(phases))
	for i, p := range phases {
		parts[i] = fmt.Sprintf("%s %.1fs", p.Name, p.Seconds)
	}
	return strings.Join(parts, ", ")
}

// result reads what `up -o json` answered into the report.
func (r *rehearsalReport) result(answer []byte) error {
	var up provision.Result
	if err := json.Unmarshal(answer, &up); err != nil {
		return fmt.Errorf("read the answer of up: %w", err)
	}
	r.Cluster, r.Nodes, r.Console, r.Kubeconfig, r.Password = up.Cluster, up.Nodes, up.Console, up.Kubeconfig, up.Password
	return nil
}

// worldDir makes a directory whose path is short enough for unix sockets.
func worldDir() (string, error) {
	dir, err := os.MkdirTemp("", "slipway-")
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}
