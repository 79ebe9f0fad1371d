package view

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/slipway-project/slipway/provision/event"
)

// heartbeat is how long plain progress may be silent: CI systems end jobs that
// are.
const heartbeat = time.Minute

// plain writes one line a transition, and one a minute when nothing changes.
type plain struct {
	mu     sync.Mutex
	w      io.Writer
	story  story
	stages map[string]string // by node
	beat   *time.Timer
	aside  bool
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
	if !p.closed {
		p.tell(e, line(e))
	}
}

// tell draws an event as the given line.
func (p *plain) tell(e event.Event, text string) {
	p.story.tell(e)
	if text == "" || p.told(e) {
		return
	}
	p.beat.Reset(heartbeat)
	p.print(e.Time, text)
}

// told reports a stage that the node is in already: not each per cent of it is
// worth a line.
func (p *plain) told(e event.Event) bool {
	if e.Kind != event.Stage {
		return false
	}
	was := p.stages[e.Node]
	p.stages[e.Node] = e.Stage
	return was == e.Stage
}

func (p *plain) alive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if p.story.running() && !p.aside {
		now := time.Now()
		p.print(now, "waiting for: "+p.story.waiting(now))
	}
	p.beat.Reset(heartbeat)
}

func (p *plain) print(at time.Time, line string) {
	fmt.Fprintf(p.w, "%s  %s\n", at.Local().Format(time.TimeOnly), line)
}

// Aside keeps the heartbeat quiet while f waits for a person.
func (p *plain) Aside(f func() error) error {
	p.hold(true)
	defer p.hold(false)
	return f()
}

func (p *plain) hold(aside bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.aside = aside
}

// Close ends the heartbeat; later events are dropped.
func (p *plain) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.beat.Stop()
}
