package view

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/slipway-project/slipway/provision/event"
)

// Modes are the ways of telling a story.
var Modes = []string{"auto", "tty", "plain", "json", "none"}

// Options say how a story is told, and to whom.
type Options struct {
	Mode string // one of Modes; auto is tty on a terminal, else plain
	W    io.Writer
	// Size is the terminal's, in cells; nil: W is no terminal.
	Size  func() (columns, rows int)
	Color bool
	// GitHub folds plain progress into the groups and annotations of GitHub
	// Actions.
	GitHub bool
	// Left is how long it took earlier from the beginning of a stage until its
	// node was ready, or for node "" from the beginning of a phase until all
	// was; nil: nothing is known.
	Left func(node, stage string) (time.Duration, bool)
}

// A Progress draws events until it is closed. It is safe for concurrent use.
type Progress interface {
	event.Sink
	// Aside has f speak to the person itself: nothing is drawn meanwhile.
	Aside(f func() error) error
	// Close draws what is left to draw; later events are dropped.
	Close()
}

// NewProgress returns the progress view of a mode.
func NewProgress(o Options) (Progress, error) {
	switch {
	case o.Mode == "tty" && o.Size == nil:
		return nil, errors.New("progress tty needs a terminal")
	case o.Mode == "tty", o.Mode == "auto" && o.Size != nil:
		return newTTY(o), nil
	case o.GitHub && (o.Mode == "plain" || o.Mode == "auto"):
		return newGitHub(o.W), nil
	case o.Mode == "plain", o.Mode == "auto":
		return newPlain(o.W), nil
	case o.Mode == "json":
		return newJSON(o.W), nil
	case o.Mode == "none":
		return nothing{}, nil
	}
	return nil, fmt.Errorf("progress %q is none of %s", o.Mode, strings.Join(Modes, ", "))
}

type nothing struct{}

func (nothing) Emit(event.Event)           {}
func (nothing) Aside(f func() error) error { return f() }
func (nothing) Close()                     {}

// jsonStream writes one event a line, after a line that names the version.
type jsonStream struct {
	mu     sync.Mutex
	enc    *json.Encoder
	closed bool
}

func newJSON(w io.Writer) *jsonStream {
	s := &jsonStream{enc: json.NewEncoder(w)}
	_ = s.enc.Encode(map[string]any{"stream": "slipway.events", "version": event.Version})
	return s
}

func (s *jsonStream) Emit(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		_ = s.enc.Encode(e)
	}
}

func (s *jsonStream) Aside(f func() error) error { return f() }

func (s *jsonStream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}
