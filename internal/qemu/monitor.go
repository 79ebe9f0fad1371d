package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// answerTime is how long a monitor may take to answer: a machine that is
// stopped (SIGSTOP) or whose host is out of memory never does.
const answerTime = 10 * time.Second

// ErrSilent is returned when a machine's monitor does not answer in time.
var ErrSilent = errors.New("its monitor does not answer")

// A Monitor is a connection to a running VM's QMP socket (QEMU Machine Protocol
// Reference Manual). It is safe for concurrent use. QEMU serves one connection
// at a time.
type Monitor struct {
	conn   net.Conn
	events chan Event
	read   chan struct{} // closed when nothing more is read

	mu      sync.Mutex // one command at a time
	answers chan answer
}

// An Event is what a VM tells unasked.
type Event struct {
	Name string          `json:"event"` // SHUTDOWN, RESET, STOP
	Data json.RawMessage `json:"data"`
}

type answer struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// Connect opens the monitor of v, which must be running.
func Connect(ctx context.Context, v VM) (*Monitor, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", v.monitor())
	if err != nil {
		return nil, fmt.Errorf("monitor of %s: %w", v.Name, err)
	}
	m := &Monitor{conn: conn, events: make(chan Event, 64), read: make(chan struct{}), answers: make(chan answer)}
	go m.listen()
	if err := m.Do(ctx, "qmp_capabilities", nil, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("monitor of %s: %w", v.Name, err), m.Close())
	}
	return m, nil
}

// Events tells what happens until the machine ends or the monitor is closed.
// Events that nobody takes are dropped once 64 wait.
func (m *Monitor) Events() <-chan Event { return m.events }

// Close ends the connection; the machine goes on.
func (m *Monitor) Close() error {
	err := m.conn.Close()
	<-m.read
	return err
}

// listen sorts what arrives: greeting, answers and events.
func (m *Monitor) listen() {
	defer close(m.read)
	defer close(m.events)
	for d := json.NewDecoder(m.conn); ; {
		var line struct {
			Greeting json.RawMessage `json:"QMP"`
			Event
			answer
		}
		if d.Decode(&line) != nil {
			return
		}
		switch {
		case line.Greeting != nil:
		case line.Name != "":
			select {
			case m.events <- line.Event:
			default:
			}
		default:
			m.hand(line.answer)
		}
	}
}

// hand gives an answer to the command that waits for it, if it still does.
func (m *Monitor) hand(a answer) {
	select {
	case m.answers <- a:
	case <-time.After(answerTime):
	}
}

// Do executes a command and reads its answer into result, which may be nil. A
// monitor that is silent for ten seconds is [ErrSilent].
func (m *Monitor) Do(ctx context.Context, command string, arguments, result any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, ErrSilent)
	defer cancel()
	request, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, arguments})
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if _, err := m.conn.Write(append(request, '\n')); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	select {
	case a := <-m.answers:
		return a.into(command, result)
	case <-m.read:
		return fmt.Errorf("%s: %w", command, net.ErrClosed)
	case <-ctx.Done():
		_ = m.conn.Close() // a late answer would be taken for that of the next command
		return fmt.Errorf("%s: %w", command, context.Cause(ctx))
	}
}

func (a answer) into(command string, result any) error {
	if a.Error != nil {
		return fmt.Errorf("%s: %s", command, a.Error.Desc)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(a.Return, result); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

// Status is QEMU's word for the state of the machine: running, paused.
func (m *Monitor) Status(ctx context.Context) (string, error) {
	var s struct {
		Status string `json:"status"`
	}
	err := m.Do(ctx, "query-status", nil, &s)
	return s.Status, err
}

// Quit ends the machine at once, like its power cord.
func (m *Monitor) Quit(ctx context.Context) error { return m.Do(ctx, "quit", nil, nil) }

// Eject takes the medium out of the CD tray, locked by the guest or not. An
// empty tray is no error.
func (m *Monitor) Eject(ctx context.Context) error {
	if err := m.Do(ctx, "blockdev-open-tray", map[string]any{"id": "cd", "force": true}, nil); err != nil {
		return err
	}
	if err := m.Do(ctx, "blockdev-remove-medium", map[string]any{"id": "cd"}, nil); err != nil {
		return err
	}
	return m.Do(ctx, "blockdev-close-tray", map[string]any{"id": "cd"}, nil)
}

// Insert puts an ISO image into the CD tray, in place of what is there.
func (m *Monitor) Insert(ctx context.Context, path string) error {
	return m.Do(ctx, "blockdev-change-medium", map[string]any{"id": "cd", "filename": path, "format": "raw", "force": true, "read-only-mode": "read-only"}, nil)
}
