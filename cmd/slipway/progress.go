package main

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/view"
	"github.com/slipway-project/slipway/provision/plan"
)

// newProgress returns the progress view that --progress asks for. left is what
// earlier runs took, or nil.
func (a *app) newProgress(w io.Writer, left func(node, stage string) (time.Duration, bool)) (view.Progress, error) {
	o := view.Options{Mode: a.progress, W: w, Color: a.color(), GitHub: onGitHub(), Left: left}
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		o.Size = func() (columns, rows int) { return terminalSize(f) }
	}
	if o.Mode == "auto" && (unattended() || os.Getenv("TERM") == "dumb") {
		o.Mode = "plain"
	}
	progress, err := view.NewProgress(o)
	if err != nil {
		return nil, usage(err)
	}
	return progress, nil
}

// terminalSize is the size of a terminal in cells; what a terminal does not
// know is as it was on the first ones.
func terminalSize(f *os.File) (columns, rows int) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 {
		return 80, 24
	}
	return int(size.Col), int(size.Row)
}

// unattended reports whether a CI system runs us: nobody answers questions.
func unattended() bool {
	switch os.Getenv("CI") {
	case "", "0", "false":
		return false
	}
	return true
}

// onGitHub reports whether GitHub Actions reads what we print.
func onGitHub() bool { return os.Getenv("GITHUB_ACTIONS") == "true" }

// aside has the plan shown, and a person asked, where no progress is drawn.
func aside(progress view.Progress, confirm func(plan.Plan) error) func(plan.Plan) error {
	return func(p plan.Plan) error {
		return progress.Aside(func() error { return confirm(p) })
	}
}
