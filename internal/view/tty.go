package view

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/slipway-project/slipway/provision/event"
)

// frameEvery bounds how often the terminal is drawn: ten times a second.
const frameEvery = 100 * time.Millisecond

// tty draws a run at the bottom of a terminal: what happened stays above, what
// is under way is drawn again below it. The cursor is hidden only within a
// frame, which is one write: whatever kills us leaves it visible.
type tty struct {
	mu     sync.Mutex
	o      Options
	story  story
	above  []string // lines to be printed once
	drawn  []int    // the cells of each line of the last frame
	shown  string   // the last frame
	aside  bool
	closed bool
	stop   chan struct{} // ends the goroutine that draws; nil: it does not run
	done   chan struct{}
}

func newTTY(o Options) *tty { return &tty{o: o} }

func (t *tty) Emit(e event.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.story.tell(e)
	switch e.Kind {
	case event.Warning, event.Note, event.StepFailed:
		t.above = append(t.above, stamped(e))
	case event.RunDone:
		t.draw(e.Time)
		t.leave()
	}
	if t.stop == nil && t.story.running() {
		t.stop, t.done = make(chan struct{}), make(chan struct{})
		go t.loop(t.stop, t.done)
	}
}

func stamped(e event.Event) string {
	return e.Time.Local().Format(time.TimeOnly) + "  " + strings.Join(strings.Fields(line(e)), " ")
}

// loop draws while a run is under way. A frame that is as the last one is not
// written.
func (t *tty) loop(stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	tick := time.NewTicker(frameEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			t.mu.Lock()
			if !t.aside && t.story.running() {
				t.draw(now)
			}
			t.mu.Unlock()
		}
	}
}

// draw replaces the frame by that of now, below the lines that stay.
func (t *tty) draw(now time.Time) {
	columns, rows := t.o.Size()
	lines := t.frame(now, columns, rows)
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%s\x1b[K\n", l.styled(t.o.Color))
	}
	frame := fmt.Sprintf("%d %s", columns, b.String())
	if frame == t.shown && len(t.above) == 0 {
		return
	}
	fmt.Fprintf(t.o.W, "\x1b[?25l%s%s%s\x1b[J\x1b[?25h", t.rewind(columns), t.kept(), b.String())
	t.shown, t.above, t.drawn = frame, nil, nil
	for _, l := range lines {
		t.drawn = append(t.drawn, width(l.text))
	}
}

// rewind moves the cursor to where the last frame begins. A terminal that has
// become narrower since has broken its lines.
func (t *tty) rewind(columns int) string {
	up := 0
	for _, cells := range t.drawn {
		up += max(1, (cells+columns-1)/columns)
	}
	if up == 0 {
		return "\r"
	}
	return fmt.Sprintf("\r\x1b[%dA", up)
}

func (t *tty) kept() string {
	var b strings.Builder
	for _, line := range t.above {
		fmt.Fprintf(&b, "%s\x1b[K\n", line)
	}
	return b.String()
}

// leave lets the last frame stand: what is drawn next begins below it.
func (t *tty) leave() { t.drawn, t.shown = nil, "" }

// Aside takes the frame away and draws nothing until f ends.
func (t *tty) Aside(f func() error) error {
	t.hold(true)
	defer t.hold(false)
	return f()
}

func (t *tty) hold(aside bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.aside = aside
	if aside && len(t.drawn) > 0 {
		fmt.Fprintf(t.o.W, "%s%s\x1b[J", t.rewind(t.columns()), t.kept())
		t.above = nil
		t.leave()
	}
}

func (t *tty) columns() int {
	columns, _ := t.o.Size()
	return columns
}

// Close ends drawing with a last frame. Closing twice is no error.
func (t *tty) Close() {
	t.mu.Lock()
	stop, done := t.stop, t.done
	if !t.closed && t.story.running() {
		t.draw(time.Now())
	}
	t.closed, t.stop = true, nil
	t.mu.Unlock()
	if stop != nil {
		close(stop)
		<-done
	}
}
