package loadbalancer

import (
	"bytes"
	"slices"
	"sync"
)

const (
	ringLines = 200
	lineBytes = 1000
)

// A ring is an io.Writer that remembers the last lines written to it.
type ring struct {
	mu    sync.Mutex
	lines []string
	part  []byte // of a line without its end yet
}

// Write never fails.
func (r *ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for chunk := range bytes.Lines(p) {
		room := max(0, lineBytes-len(r.part))
		line, ended := bytes.CutSuffix(chunk, []byte("\n"))
		r.part = append(r.part, line[:min(room, len(line))]...)
		if ended {
			r.add(string(r.part))
			r.part = r.part[:0]
		}
	}
	return len(p), nil
}

func (r *ring) add(line string) {
	r.lines = append(r.lines, line)
	if over := len(r.lines) - ringLines; over > 0 {
		r.lines = slices.Delete(r.lines, 0, over)
	}
}

// tail returns the last n lines.
func (r *ring) tail(n int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines[max(0, len(r.lines)-n):])
}
