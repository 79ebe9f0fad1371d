package loadbalancer

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

const (
	logLines = 200
	logBytes = 1 << 20 // then it begins again
	tailSize = 32 << 10
)

// A logfile is what haproxy writes to: a file, so that it can go on when we
// are gone, and be read by whoever adopts it.
type logfile string

// open returns the file for a process to append to.
func (l logfile) open() (*os.File, error) {
	f, err := os.OpenFile(string(l), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of haproxy: %w", err)
	}
	return f, nil
}

// trim empties a file that has grown too large; who appends goes on at its
// beginning.
func (l logfile) trim() {
	if info, err := os.Stat(string(l)); err == nil && info.Size() > logBytes {
		_ = os.Truncate(string(l), 0)
	}
}

// tail returns the last n lines, as far as they are in the last 32 KiB.
func (l logfile) tail(n int) []string {
	f, err := os.Open(string(l))
	if err != nil {
		return nil
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil
	}
	b := make([]byte, min(end, tailSize))
	got, _ := f.ReadAt(b, end-int64(len(b)))
	lines := strings.Split(strings.TrimRight(string(b[:got]), "\n"), "\n")
	if end > tailSize {
		lines = lines[1:] // cut off at its beginning
	}
	lines = slices.DeleteFunc(lines, func(line string) bool { return line == "" })
	return lines[max(0, len(lines)-n):]
}

// lastWords are the last alerts haproxy wrote, or the last lines of any kind.
func (l logfile) lastWords() string {
	lines := l.tail(30)
	said := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !strings.Contains(line, "[ALERT]") })
	if len(said) == 0 {
		said = lines
	}
	return strings.Join(said[max(0, len(said)-5):], " | ")
}
