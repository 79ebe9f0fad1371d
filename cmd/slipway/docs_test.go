package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "rewrite the pages that are generated")

const referencePage = "../../docs/cli.md"

// docs/cli.md is what the commands say of themselves.
func TestReference(t *testing.T) {
	var page strings.Builder
	page.WriteString("# Commands\n\nWritten by `make docs`. Every flag is also an environment variable:\n`--override` is `SLIPWAY_OVERRIDE`.\n")
	describe(&page, newRoot(&app{}))
	if *update {
		if err := os.WriteFile(referencePage, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), page.String()); diff != "" {
		t.Errorf("run `make docs` (-page +code):\n%s", diff)
	}
}

func describe(page *strings.Builder, cmd *cobra.Command) {
	if cmd.HasParent() && !cmd.Hidden {
		text := cmd.Long
		if text == "" {
			text = cmd.Short + "."
		}
		fmt.Fprintf(page, "\n## %s\n\n%s\n", cmd.CommandPath(), text)
		if len(cmd.Aliases) > 0 {
			fmt.Fprintf(page, "\nAlso: %s.\n", strings.Join(cmd.Aliases, ", "))
		}
		if flags := cmd.NonInheritedFlags(); flags.HasAvailableFlags() {
			fmt.Fprintf(page, "\n```\n%s```\n", flags.FlagUsages())
		}
	}
	for _, sub := range cmd.Commands() {
		if sub.Name() != "help" && sub.Name() != "completion" {
			describe(page, sub)
		}
	}
}

var command = regexp.MustCompile("(?m)(?:^|`|\\s)slipway ([a-z]+[^`\n#|.;:()]*)")

// Every command line of ours in the documentation has verbs and flags that
// exist.
func TestDocumentedCommandsExist(t *testing.T) {
	pages, _ := filepath.Glob("../../docs/*.md")
	more, _ := filepath.Glob("../../docs/*/*.md")
	tops, _ := filepath.Glob("../../*.md")
	seen := 0
	for _, page := range slices.Concat(pages, more, tops) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range command.FindAllStringSubmatch(code(string(text)), -1) {
			seen++
			if err := exists(strings.Fields(m[1])); err != nil {
				t.Errorf("%s: slipway %s: %v", page, strings.TrimSpace(m[1]), err)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands found: is the pattern right?", seen)
	}
}

var (
	fenced   = regexp.MustCompile("(?s)```.*?```")
	spans    = regexp.MustCompile("`[^`\n]+`")
	comments = regexp.MustCompile(`(?m)#.*$`)
	blocks   = regexp.MustCompile(`(?m)^(?:    |\t| {7,})\S.*$`)
)

// code leaves only what is written as code.
func code(text string) string {
	parts := fenced.FindAllString(text, -1)
	rest := fenced.ReplaceAllString(text, "")
	parts = append(parts, spans.FindAllString(rest, -1)...)
	parts = append(parts, blocks.FindAllString(spans.ReplaceAllString(rest, ""), -1)...)
	return comments.ReplaceAllString(strings.Join(parts, "\n"), "")
}

func exists(words []string) error {
	root := newRoot(&app{})
	root.InitDefaultCompletionCmd()
	if i := slices.Index(words, "--"); i >= 0 { // what follows is another program's
		words = words[:i]
	}
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if cmd == root {
		return fmt.Errorf("no such verb")
	}
	known := func(flags *pflag.FlagSet, word string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
		return flags.Lookup(name) != nil || len(name) == 1 && flags.ShorthandLookup(name) != nil
	}
	for _, word := range rest {
		if strings.HasPrefix(word, "-") && word != "-" && word != "--help" && !known(cmd.Flags(), word) && !known(cmd.InheritedFlags(), word) {
			return fmt.Errorf("no flag %s", word)
		}
	}
	return nil
}
