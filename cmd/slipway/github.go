package main

import (
	"fmt"
	"io"

	"github.com/hashicorp/hcl/v2"

	"github.com/slipway-project/slipway/internal/view"
)

// annotate shows diagnostics beside the lines of the spec on GitHub.
func (a *app) annotate(diags hcl.Diagnostics) {
	if !onGitHub() {
		return
	}
	for _, d := range diags {
		kind, file, line := "error", "", 0
		if d.Severity == hcl.DiagWarning {
			kind = "warning"
		}
		if d.Subject != nil {
			file, line = d.Subject.Filename, d.Subject.Start.Line
		}
		fmt.Fprintln(a.stderr, view.Annotation(kind, d.Summary+": "+d.Detail, file, line))
	}
}

// tell prints an error, with what to do, and shows both on GitHub.
func tell(w io.Writer, message, advice string) {
	fmt.Fprintf(w, "slipway: error: %s\n", message)
	if advice != "" {
		fmt.Fprintf(w, "slipway: hint: %s\n", advice)
		message += "\n" + advice
	}
	if onGitHub() {
		fmt.Fprintln(w, view.Annotation("error", message, "", 0))
	}
}
