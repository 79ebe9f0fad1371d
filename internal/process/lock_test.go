package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestLockWaitsForItsHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	first, second := open(), open()
	if err := Lock(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	busy := errors.New("busy")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, busy)
	defer cancel()
	if err := Lock(ctx, second); !errors.Is(err, busy) {
		t.Errorf("of somebody who stays: %v", err)
	}
	time.AfterFunc(2*lockPoll, func() { first.Close() })
	if err := Lock(t.Context(), second); err != nil {
		t.Errorf("of somebody who goes: %v", err)
	}
}
