//go:build rehearse

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README's spec and commands, exactly as they stand there, in order. Only
// what a person would type at a question is given by --yes.
func TestRehearseREADME(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cluster.hcl"), readmeSpec(t, string(text)), 0o644); err != nil {
		t.Fatal(err)
	}
	w := openTestWorld(t, filepath.Join(dir, "cluster.hcl"))
	for _, args := range readmeCommands(t, string(text)) {
		cmd := w.slipway(t, args...)
		switch args[0] {
		case "up", "down":
			cmd.Args = append(cmd.Args, "--yes")
		case "rehearse": // a world of its own, beside this one
			cmd = exec.Command(w.exe, args...)
		}
		cmd.Dir = dir
		cmd.Args = enterAt(cmd.Args, dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("slipway %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	w.noResidue(t)
}

// enterAt makes the way in begin in dir instead of in the world's directory.
func enterAt(argv []string, dir string) []string {
	for i, arg := range argv {
		if arg == "--wd" {
			argv[i] = "--wdns=" + dir
		}
	}
	return argv
}

func readmeSpec(t *testing.T, text string) []byte {
	t.Helper()
	m := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindStringSubmatch(text)
	if m == nil {
		t.Fatal("the README has no spec")
	}
	return []byte(strings.ReplaceAll(m[1], "\n   ", "\n"))
}

func readmeCommands(t *testing.T, text string) (commands [][]string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^ {7}slipway ([^#\n]*)`).FindAllStringSubmatch(text, -1) {
		commands = append(commands, strings.Fields(m[1]))
	}
	if len(commands) < 7 {
		t.Fatalf("commands %v", commands)
	}
	return commands
}
