package view

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/slipway-project/slipway/provision/event"
)

// Modes are the ways of telling a story.
var Modes = []string{"auto", "plain", "json", "none"}

// heartbeat is how long plain progress may be silent.
const heartbeat = time.Minute

// A Progress draws events until it is closed.
type Progress interface {
	event.Sink
	Close()
}

// NewProgress returns the progress view of a mode; "auto" is "plain".
func NewProgress(mode string, w io.Writer) (Progress, error) {
	switch mode {
	case "auto", "plain":
		return newPlain(w), nil
	case "json":
		return newJSON(w), nil
	case "none":
		return nothing{}, nil
	}
	return nil, fmt.Errorf("progress %q is none of %s", mode, strings.Join(Modes, ", "))
}

type nothing struct{}

func (nothing) Emit(event.Event) {}
func (nothing) Close()           {}

// jsonStream writes one event a line, after a line that names the version.
type jsonStream struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func newJSON(w io.Writer) *jsonStream {
	s := &jsonStream{enc: json.NewEncoder(w)}
	_ = s.enc.Encode(map[string]any{"stream": "slipway.events", "version": event.Version})
	return s
}

func (s *jsonStream) Emit(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.enc.Encode(e)
}

func (s *jsonStream) Close() {}

// plain writes one line a transition, and one a minute when nothing changes.
type plain struct {
	mu     sync.Mutex
	w      io.Writer
	stages map[string]string // by node
	last   string
	beat   *time.Timer
	closed bool
}

func newPlain(w io.Writer) *plain {
	p := &plain{w: w, stages: map[string]string{}}
	p.beat = time.AfterFunc(heartbeat, p.alive)
	return p
}

func (p *plain) Emit(e event.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := p.line(e)
	if line == "" || p.closed {
		return
	}
	p.last = line
	p.beat.Reset(heartbeat)
	p.print(e.Time, line)
}

func (p *plain) alive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.print(time.Now(), "still at: "+p.last)
	p.beat.Reset(heartbeat)
}

func (p *plain) print(at time.Time, line string) {
	fmt.Fprintf(p.w, "%s  %s\n", at.Local().Format(time.TimeOnly), line)
}

// Close ends the heartbeat; later events are dropped.
func (p *plain) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.beat.Stop()
}

// line is what an event looks like, "" when it is not worth a line.
func (p *plain) line(e event.Event) string {
	switch e.Kind {
	case event.RunStart:
		return e.Verb + " " + e.Cluster
	case event.RunDone:
		return runDone(e)
	case event.PhaseDone:
		return row(e.Phase, "", "done in "+seconds(e.Seconds))
	case event.StepDone:
		return row(e.Phase, e.Node, what(e)+" "+seconds(e.Seconds))
	case event.StepRetry:
		return row(e.Phase, e.Node, what(e)+" is tried again: "+e.Error)
	case event.StepFailed:
		return row(e.Phase, e.Node, what(e)+" FAILED: "+e.Error)
	case event.Stage:
		return p.stage(e)
	case event.Note:
		return row("note", e.Node, e.Message)
	case event.Warning:
		return row("warning", e.Node, e.Message)
	}
	return ""
}

// stage tells a new stage, not each per cent of it.
func (p *plain) stage(e event.Event) string {
	if p.stages[e.Node] == e.Stage {
		return ""
	}
	p.stages[e.Node] = e.Stage
	return row("", e.Node, e.Stage)
}

// what names a step without repeating its node.
func what(e event.Event) string {
	return strings.TrimSpace(strings.TrimSuffix(e.Step, e.Node))
}

func row(phase, node, text string) string {
	return strings.TrimRight(fmt.Sprintf("%-9s  %-12s  %s", phase, node, text), " ")
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
