//go:build rehearse

package main

import (
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// A story is slipway at work, and what it has told by now.
type story struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	text strings.Builder
}

func (s *story) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *story) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// begin starts a verb and goes on once it has told the words.
func (w *testWorld) begin(t *testing.T, words string, args ...string) *story {
	t.Helper()
	s := &story{cmd: w.slipway(t, args...)}
	s.cmd.Stdout, s.cmd.Stderr = s, s
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill(); s.cmd.Wait() })
	s.tells(t, words)
	return s
}

// tells waits for words.
func (s *story) tells(t *testing.T, words string) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !strings.Contains(s.told(), words); <-time.After(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never says %q:\n%s", words, s.told())
		}
	}
}

func (s *story) end(t *testing.T) {
	t.Helper()
	if err := s.cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, s.told())
	}
}
