package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/slipway-project/slipway/provision/event"
)

// line is what an event looks like in plain progress, "" when it is not worth
// a line.
func line(e event.Event) string {
	switch e.Kind {
	case event.RunStart:
		return e.Verb + " " + e.Cluster
	case event.RunDone:
		return runDone(e)
	case event.PhaseDone:
		return columns(e.Phase, "", "done in "+seconds(e.Seconds))
	case event.StepDone:
		return columns(e.Phase, e.Node, kindOf(e)+" "+seconds(e.Seconds))
	case event.StepRetry:
		return columns(e.Phase, e.Node, kindOf(e)+" is tried again: "+clean(e.Error))
	case event.StepFailed:
		return columns(e.Phase, e.Node, kindOf(e)+" FAILED: "+clean(e.Error))
	case event.Stage:
		return columns("", e.Node, clean(e.Stage))
	case event.Note:
		return columns("note", e.Node, clean(e.Message))
	case event.Warning:
		return columns("warning", e.Node, warning(e))
	}
	return ""
}

// warning is what is wrong and what to do about it.
func warning(e event.Event) string {
	if e.Hint == "" {
		return clean(e.Message)
	}
	return clean(e.Message) + "; hint: " + clean(e.Hint)
}

func columns(phase, node, text string) string {
	return strings.TrimRight(fmt.Sprintf("%-9s  %-12s  %s", phase, node, text), " ")
}

// kindOf names a step without repeating its node.
func kindOf(e event.Event) string {
	return strings.TrimSpace(strings.TrimSuffix(e.Step, e.Node))
}

func runDone(e event.Event) string {
	if e.Error != "" {
		return e.Verb + " ended after " + seconds(e.Seconds)
	}
	return e.Verb + " done in " + seconds(e.Seconds)
}

func seconds(s float64) string {
	if s < 60 {
		return fmt.Sprintf("%.1fs", s)
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

// clock writes how long something has taken, for a place that is drawn once a
// second.
func clock(d time.Duration) string {
	d = max(d, 0).Truncate(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	if d < time.Hour {
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// roughly writes a prediction as exactly as it deserves.
func roughly(d time.Duration) string {
	switch {
	case d < 0:
		return "longer than usual"
	case d < time.Minute:
		return fmt.Sprintf("~%ds left", max(10, int(d.Round(10*time.Second).Seconds())))
	}
	return fmt.Sprintf("~%dm left", int(d.Round(time.Minute).Minutes()))
}
