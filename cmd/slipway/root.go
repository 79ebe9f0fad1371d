package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/internal/view"
)

// app is what all verbs share: the streams and the global flags.
type app struct {
	stdin          io.Reader
	typed          []byte // standard input, where a spec is there: see keepInput
	stdout, stderr io.Writer
	// patient is set by verbs that have processes or a world to take down
	// before they end.
	patient atomic.Bool
	// steady is set by a verb that no signal cuts short: a parent that is
	// killed tells of its death once for each of its threads (prctl(2),
	// PR_SET_PDEATHSIG), so that a second signal means nothing.
	steady atomic.Bool

	files    []string
	cluster  string
	override string
	vars     []string
	varFiles []string
	home     string
	progress string
	output   string
	pace     float64
	yes      bool
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "slipway",
		Short:         "One HCL file to a running OpenShift or OKD cluster",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return fromEnvironment(cmd.Flags())
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	flags := root.PersistentFlags()
	flags.StringVar(&a.home, "home", "", "state directory (default $XDG_STATE_HOME/slipway)")
	root.AddCommand(newInit(a), newValidate(a), newFmt(a), newPlan(a), newUp(a), newWait(a), newStatus(a), newDoctor(a), newDown(a),
		newList(a), newSSH(a), newGather(a), newKubeconfig(a), newServe(a), newDNS(a), newDHCP(a), newLB(a), newRehearse(a), newSchema(a), newMan(a), newVersion(a), newQEMU(a))
	refuseStrayArguments(root)
	a.completeFlags(root)
	return root
}

// refuseStrayArguments makes wrong arguments a usage error everywhere.
func refuseStrayArguments(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usage(err)
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		refuseStrayArguments(sub)
	}
}

// specFlags are those of verbs that read a spec.
func (a *app) specFlags(cmd *cobra.Command) {
	a.fileFlags(cmd)
	a.varFlags(cmd)
	cmd.Flags().StringVar(&a.override, "override", "", "`FILE` whose blocks replace attributes of the spec")
}

// fileFlags say which spec, without an override: a rehearsal has its own.
func (a *app) fileFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&a.files, "file", "f", nil, "spec `FILE` or directory, - for stdin (default cluster.hcl)")
	flags.StringVar(&a.cluster, "cluster", "", "`NAME` of the cluster when the spec has several")
}

// varFlags give variables of the spec their values.
func (a *app) varFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&a.vars, "var", nil, "`NAME=VALUE` of a variable of the spec; wins over --var-file and SLIPWAY_VAR_NAME")
	flags.StringArrayVar(&a.varFiles, "var-file", nil, "`FILE` of NAME = VALUE lines, or of JSON; of several the last wins")
}

// runFlags are those of verbs that contact the world, from within the network
// that the cluster is in.
func (a *app) runFlags(cmd *cobra.Command) {
	a.specFlags(cmd)
	a.inNetwork(cmd)
	cmd.Flags().Float64Var(&a.pace, "pace", 1, "poll and give up `N` times faster than for real hardware")
}

func (a *app) progressFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.progress, "progress", "auto", "how to tell the story: "+strings.Join(view.Modes, ", "))
}

func (a *app) outputFlag(cmd *cobra.Command, formats string) {
	cmd.Flags().StringVarP(&a.output, "output", "o", "table", "form of the answer: "+formats)
}

// fromEnvironment gives each flag that was not set the value of SLIPWAY_<FLAG>.
func fromEnvironment(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		name := "SLIPWAY_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := os.LookupEnv(name)
		if !ok || f.Changed || err != nil {
			return
		}
		if setErr := flags.Set(f.Name, value); setErr != nil {
			err = usage(fmt.Errorf("environment variable %s: %w", name, setErr))
		}
	})
	return err
}

func (a *app) stateHome() (string, error) {
	if a.home != "" {
		return filepath.Abs(a.home)
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "slipway"), nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state", "slipway"), err
}

func (a *app) speed() (pace.Pace, error) {
	if a.pace < 1 || a.pace > 1000 {
		return 0, usage(fmt.Errorf("--pace %v is not between 1 and 1000", a.pace))
	}
	return pace.Pace(a.pace), nil
}

// json reports whether -o asks for JSON, and refuses other unknown forms.
func (a *app) json() (bool, error) {
	switch a.output {
	case "table":
		return false, nil
	case "json":
		return true, nil
	}
	return false, usage(fmt.Errorf("output %q is neither table nor json", a.output))
}

// color reports whether stderr is a terminal that wants colour.
func (a *app) color() bool {
	f, ok := a.stderr.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == ""
}

// interactive reports whether there is somebody to ask.
func (a *app) interactive() bool {
	f, ok := a.stdin.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && !unattended()
}
