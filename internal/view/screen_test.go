package view

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// A screen is a small terminal with as much of ECMA-48 as progress uses, which
// breaks and joins its lines as VTE does when its width changes. What it does
// not know is a panic. It is safe for concurrent use.
type screen struct {
	mu         sync.Mutex
	cols, rows int
	lines      [][]rune // all lines since it was opened; the last rows are visible
	joined     []bool   // whether a line goes on in the next one
	x, y       int      // cursor; y counts from the first line of all
	hidden     bool     // the cursor
	writes     int
}

func newScreen(cols, rows int) *screen {
	return &screen{cols: cols, rows: rows, lines: [][]rune{nil}, joined: []bool{false}}
}

func (s *screen) size() (int, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cols, s.rows
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	text := []rune(string(p))
	for i := 0; i < len(text); i++ {
		switch r := text[i]; {
		case r == '\r':
			s.x = 0
		case r == '\n': // the line discipline makes CR LF of it
			s.x = 0
			s.down(false)
		case r == 0x1b:
			end := i + 2
			for text[end] < '@' || text[end] > '~' {
				end++
			}
			s.control(string(text[i+2:end]), text[end])
			i = end
		case r < ' ':
			panic(fmt.Sprintf("control character %q", r))
		default:
			s.put(r)
		}
	}
	return len(p), nil
}

func (s *screen) put(r rune) {
	if s.x+cells(r) > s.cols {
		s.x = 0
		s.down(true)
	}
	for len(s.lines[s.y]) <= s.x {
		s.lines[s.y] = append(s.lines[s.y], ' ')
	}
	s.lines[s.y][s.x] = r
	if s.x++; cells(r) == 2 {
		s.lines[s.y] = append(s.lines[s.y][:s.x], 0) // its other half
		s.x++
	}
}

func (s *screen) down(joined bool) {
	s.joined[s.y] = joined
	if s.y++; s.y == len(s.lines) {
		s.lines, s.joined = append(s.lines, nil), append(s.joined, false)
	}
}

func (s *screen) control(args string, final rune) {
	n, _ := strconv.Atoi(args)
	switch {
	case final == 'A':
		top := max(0, len(s.lines)-s.rows)
		s.y = max(top, s.y-n)
	case final == 'K' && args == "":
		s.lines[s.y] = s.lines[s.y][:min(s.x, len(s.lines[s.y]))]
	case final == 'J' && args == "":
		s.lines[s.y] = s.lines[s.y][:min(s.x, len(s.lines[s.y]))]
		for i := s.y + 1; i < len(s.lines); i++ {
			s.lines[i], s.joined[i] = nil, false
		}
	case final == 'm':
	case args == "?25":
		s.hidden = final == 'l'
	default:
		panic(fmt.Sprintf("control sequence %q %c", args, final))
	}
}

// resize gives the terminal another width. The cursor stands on a line of its
// own, as it does after every frame.
func (s *screen) resize(cols int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines, joined, y := s.lines, s.joined, s.y
	s.cols, s.lines, s.joined = cols, nil, nil
	var whole []rune
	for i, line := range lines {
		if i == y {
			s.y = len(s.lines)
		}
		if whole = append(whole, line...); !joined[i] {
			s.wrap(whole)
			whole = nil
		}
	}
}

func (s *screen) wrap(line []rune) {
	for len(line) > s.cols {
		s.lines, s.joined = append(s.lines, line[:s.cols:s.cols]), append(s.joined, true)
		line = line[s.cols:]
	}
	s.lines, s.joined = append(s.lines, line), append(s.joined, false)
}

// text is everything that was ever shown, without trailing space.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, line := range s.lines {
		b.WriteString(strings.TrimRight(strings.ReplaceAll(string(line), "\x00", ""), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// drawn is how many writes there were since it was last asked.
func (s *screen) drawn() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.writes
	s.writes = 0
	return n
}

// blinks reports whether the cursor can be seen.
func (s *screen) blinks() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.hidden
}
