package view

import (
	"fmt"
	"io"
	"strings"

	"github.com/slipway-project/slipway/provision/event"
)

// github is plain progress in the form of GitHub Actions: a group for the
// phases that run side by side, warnings as annotations.
// docs.github.com: Workflow commands for GitHub Actions.
type github struct {
	*plain
	phases map[string]bool // under way
}

func newGitHub(w io.Writer) *github { return &github{newPlain(w), map[string]bool{}} }

func (g *github) Emit(e event.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.fold(e)
	if e.Kind == event.Warning {
		g.story.tell(e)
		fmt.Fprintln(g.w, Annotation("warning", strings.TrimSpace(e.Node+" "+warning(e)), "", 0))
		return
	}
	g.tell(e, line(e))
}

// fold opens a group with the first phase and closes it after the last of
// those that overlap: groups cannot.
func (g *github) fold(e event.Event) {
	was := len(g.phases)
	switch e.Kind {
	case event.PhaseStart:
		g.phases[e.Phase] = true
	case event.PhaseDone:
		delete(g.phases, e.Phase)
	case event.RunDone:
		clear(g.phases)
	}
	switch {
	case was == 0 && len(g.phases) > 0:
		fmt.Fprintf(g.w, "::group::%s\n", e.Phase)
	case was > 0 && len(g.phases) == 0:
		fmt.Fprintln(g.w, "::endgroup::")
	}
}

var (
	escapeData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	escapeProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// Annotation is the line by which GitHub Actions shows a message of a kind
// (error, warning), at a file and line when there is one.
func Annotation(kind, message, file string, line int) string {
	place := ""
	if file != "" {
		place = fmt.Sprintf(" file=%s,line=%d", escapeProperty.Replace(file), line)
	}
	return "::" + kind + place + "::" + escapeData.Replace(message)
}
