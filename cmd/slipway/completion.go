package main

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision/spec"
)

// completeFlags teaches shells the values of flags: clusters of the spec, ways
// of progress, forms of the answer. What is left is no file, but for the flags
// that say so.
func (a *app) completeFlags(cmd *cobra.Command) {
	values := map[string]cobra.CompletionFunc{
		"cluster":  a.completeCluster,
		"node":     a.completeNode,
		"progress": cobra.FixedCompletions(view.Modes, cobra.ShellCompDirectiveNoFileComp),
	}
	for _, name := range []string{"output", "format", "for"} {
		if flag := cmd.Flags().Lookup(name); flag != nil {
			values[name] = cobra.FixedCompletions(listedIn(flag.Usage), cobra.ShellCompDirectiveNoFileComp)
		}
	}
	for name, complete := range values {
		if cmd.Flags().Lookup(name) != nil {
			_ = cmd.RegisterFlagCompletionFunc(name, complete) // it exists, and once
		}
	}
	for name, files := range map[string][]string{"file": {"hcl", "json"}, "override": {"hcl", "json"}, "var-file": {"hcl", "json"}} {
		if cmd.Flags().Lookup(name) != nil {
			_ = cmd.MarkFlagFilename(name, files...)
		}
	}
	for _, sub := range cmd.Commands() {
		a.completeFlags(sub)
	}
}

// listedIn returns the values that the help of a flag lists: "...: table, json".
func listedIn(usage string) []string {
	if _, list, ok := strings.Cut(usage, ": "); ok {
		usage = list
	}
	return strings.Split(strings.TrimPrefix(usage, "one of "), ", ")
}

func (a *app) completeCluster(cmd *cobra.Command, _ []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	r, ok := a.readQuietly(cmd)
	if ok {
		for _, c := range r.Clusters {
			names = append(names, c.Name+"\t"+c.FullName())
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeFirstNode completes the first argument by the nodes of the spec.
func (a *app) completeFirstNode(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 { // a command, of which nobody here knows more
		return nil, cobra.ShellCompDirectiveDefault
	}
	return a.completeNodes(cmd, spec.Cluster.Placed)
}

func (a *app) completeNode(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.completeNodes(cmd, func(c spec.Cluster) []spec.Node { return c.Nodes })
}

func (a *app) completeNodes(cmd *cobra.Command, of func(spec.Cluster) []spec.Node) (names []string, _ cobra.ShellCompDirective) {
	r, ok := a.readQuietly(cmd)
	if !ok {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := a.pick(r)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, n := range of(c) {
		names = append(names, n.Name+"\t"+string(n.Role))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// readQuietly reads the spec that the command line so far, or the environment,
// is about. What is wrong with it is for another command to say.
func (a *app) readQuietly(cmd *cobra.Command) (reading, bool) {
	if fromEnvironment(cmd.Flags()) != nil {
		return reading{}, false
	}
	var once []string
	for _, f := range a.files { // cobra parses the line twice to complete it
		if !slices.Contains(once, f) {
			once = append(once, f)
		}
	}
	if a.files = once; slices.Contains(once, "-") { // the shell's own input
		return reading{}, false
	}
	said := a.stderr
	a.stderr = io.Discard
	defer func() { a.stderr = said }()
	r, err := a.read()
	return r, err == nil
}
