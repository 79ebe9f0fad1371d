package main

import (
	"os"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(cleanly{m}, map[string]func(){"slipway": main})
}

// shared lists what tests share and nobody else removes.
var shared []string

type cleanly struct{ *testing.M }

func (c cleanly) Run() int {
	defer func() {
		for _, dir := range shared {
			os.RemoveAll(dir)
		}
	}()
	return c.M.Run()
}

// The scripts say how slipway feels: each begins with the sentence it proves.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("SLIPWAY_HOME", e.WorkDir+"/home")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "awaits": awaits},
	})
}

// exits CODE ARGS...: runs slipway, which must end with that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE ARGS...")
	}
	err := ts.Exec("slipway", args[1:]...)
	if got := codeOf(err); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

func codeOf(err error) string {
	type coder interface{ ExitCode() int }
	switch e := err.(type) {
	case nil:
		return "0"
	case coder:
		return strconv.Itoa(e.ExitCode())
	default:
		return err.Error()
	}
}
