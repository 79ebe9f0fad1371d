package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/slipway-project/slipway/internal/atomicfile"
)

func newMan(a *app) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "man --dir DIR",
		Short: "Write manual pages, one for each verb",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.man(cmd.Root(), dir) },
	}
	cmd.Flags().StringVar(&dir, "dir", "", "`DIR` to write into, such as /usr/local/share/man/man1")
	_ = cmd.MarkFlagDirname("dir")
	return cmd
}

func (a *app) man(root *cobra.Command, dir string) error {
	if dir == "" {
		return usage(errors.New("--dir is missing"))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, cmd := range documented(root) {
		path := filepath.Join(dir, pageName(cmd)+".1")
		if err := atomicfile.Write(path, []byte(manPage(cmd)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// documented are a command and all below it that have a page.
func documented(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "completion" {
			list = append(list, documented(sub)...)
		}
	}
	return list
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage writes one page (man(7)). It bears no date: the same program writes
// the same pages.
func manPage(cmd *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %q 1 \"\" \"slipway %s\" \"Slipway manual\"\n", strings.ToUpper(pageName(cmd)), roff(version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(pageName(cmd)), roff(lowerFirst(cmd.Short)))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.nh\n.B %s\n.hy\n", roff(cmd.UseLine()))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", paragraphs(describeVerb(cmd)))
	manOptions(&b, "OPTIONS", cmd.NonInheritedFlags())
	manOptions(&b, "GLOBAL OPTIONS", cmd.InheritedFlags())
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(cmd.Example))
	}
	fmt.Fprintf(&b, ".SH ENVIRONMENT\nEvery option is also a variable: \\fB\\-\\-override\\fP is \\fBSLIPWAY_OVERRIDE\\fP.\n")
	manSeeAlso(&b, cmd)
	return b.String()
}

func describeVerb(cmd *cobra.Command) string {
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	if len(cmd.Aliases) > 0 {
		text += "\n\nAlso: " + strings.Join(cmd.Aliases, ", ") + "."
	}
	return text
}

func manOptions(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		name := "\\fB\\-\\-" + roff(f.Name) + "\\fP"
		if f.Shorthand != "" {
			name = "\\fB\\-" + f.Shorthand + "\\fP, " + name
		}
		if value != "" {
			name += " \\fI" + roff(value) + "\\fP"
		}
		if !strings.Contains("|false|0|[]|", "|"+f.DefValue+"|") && f.DefValue != "" {
			text += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(b, ".TP\n%s\n%s\n", name, roff(text))
	})
}

func manSeeAlso(b *strings.Builder, cmd *cobra.Command) {
	var others []string
	if cmd.HasParent() {
		others = append(others, pageName(cmd.Parent()))
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "completion" {
			others = append(others, pageName(sub))
		}
	}
	for i, name := range others {
		others[i] = "\\fB" + roff(name) + "\\fP(1)"
	}
	fmt.Fprintf(b, ".SH SEE ALSO\n%s\n", strings.Join(others, ",\n"))
}

// paragraphs keeps blank lines as breaks, and indented lines as they are.
func paragraphs(text string) string {
	var b strings.Builder
	for block := range strings.SplitSeq(text, "\n\n") {
		if strings.HasPrefix(block, "  ") {
			fmt.Fprintf(&b, ".PP\n.nf\n%s\n.fi\n", roff(block))
			continue
		}
		fmt.Fprintf(&b, ".PP\n%s\n", roff(block))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// roff escapes what roff(7) would take for its own: backslashes, hyphens, and
// dots and quotes at the beginning of a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...", "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
