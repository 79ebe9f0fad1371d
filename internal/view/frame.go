package view

import (
	"fmt"
	"strings"
	"time"
)

// The colours of lines (ECMA-48, select graphic rendition).
const (
	bold  = "1"
	red   = "31"
	green = "32"
)

// A styled line is text of one colour; its cells are those of the text.
type styledLine struct{ text, style string }

func (l styledLine) styled(color bool) string {
	if !color || l.style == "" {
		return l.text
	}
	return "\x1b[" + l.style + "m" + l.text + "\x1b[0m"
}

// frame is what the run looks like now, in a terminal of the given size: the
// run, its phases, a row a node, the last event. No line reaches the last
// column, where terminals differ in when they wrap.
func (t *tty) frame(now time.Time, columns, rows int) []styledLine {
	s := &t.story
	lines := []styledLine{{t.title(now), bold}, {chapters(s.phases, now, columns-1), ""}}
	lines = append(lines, t.rows(now, columns-1, max(rows-4, 1))...)
	if s.running() {
		lines = append(lines, styledLine{"last: " + s.last, ""})
	}
	for i := range lines {
		lines[i].text = truncate(lines[i].text, columns-1)
	}
	return lines[:min(len(lines), max(rows-1, 1))]
}

func (t *tty) title(now time.Time) string {
	s := &t.story
	if !s.running() {
		return s.cluster + ": " + runDone(s.ended)
	}
	text := fmt.Sprintf("%s %s  %s", s.verb, s.cluster, clock(now.Sub(s.began)))
	if s.stage != "" {
		text += "  " + s.stage
	}
	if left := t.left("", s.phases, now); left != "" {
		text += "  " + left
	}
	return text
}

// left predicts the end of the run by the phase that began last.
func (t *tty) left(node string, phases []chapter, now time.Time) string {
	if len(phases) == 0 {
		return ""
	}
	latest := phases[len(phases)-1]
	return t.predict(node, latest.name, now.Sub(latest.since))
}

func (t *tty) predict(node, stage string, taken time.Duration) string {
	if t.o.Left == nil {
		return ""
	}
	total, known := t.o.Left(node, stage)
	if !known {
		return ""
	}
	return roughly(total - taken)
}

// chapters writes the phases in the order of their beginnings, those that are
// under way with three dots. Where they do not fit, the first ones are left
// out.
func chapters(phases []chapter, now time.Time, columns int) string {
	var parts []string
	for _, c := range phases {
		if c.seconds < 0 {
			parts = append(parts, fmt.Sprintf("%s %s...", c.name, clock(now.Sub(c.since))))
		} else {
			parts = append(parts, c.name+" "+seconds(c.seconds))
		}
	}
	const between, cut = " | ", "... | "
	text := strings.Join(parts, between)
	for width(text) > columns && len(parts) > 1 {
		parts = parts[1:]
		text = cut + strings.Join(parts, between)
	}
	return text
}

// rows writes the nodes; where they do not fit, those that have ended are only
// counted, and if that is not enough the last ones, too.
func (t *tty) rows(now time.Time, columns, most int) (lines []styledLine) {
	names, hidden := t.story.names(), 0
	if len(names) > most {
		names, hidden = t.pressing(names, most-1)
	}
	longest := 0
	for _, n := range names {
		longest = max(longest, width(n))
	}
	for _, n := range names {
		lines = append(lines, t.row(n, longest, columns, now))
	}
	if hidden > 0 {
		lines = append(lines, styledLine{fmt.Sprintf("and %d more", hidden), ""})
	}
	return lines
}

// pressing chooses the nodes that are shown: those that have not ended first.
func (t *tty) pressing(names []string, most int) (shown []string, hidden int) {
	var whole []string
	for _, n := range names {
		if t.story.nodes[n].ended() {
			whole = append(whole, n)
		} else {
			shown = append(shown, n)
		}
	}
	shown = append(shown, whole...)
	most = max(most, 0)
	return shown[:most], len(names) - most
}

// row is a node: its name, stage, how long it has been in it, and how long
// until it is Ready.
func (t *tty) row(name string, longest, columns int, now time.Time) styledLine {
	r := t.story.nodes[name]
	if r.ended() {
		return styledLine{pad(name, longest) + "  " + r.stage, green}
	}
	taken, left := now.Sub(r.since), ""
	if t.story.running() {
		left = t.predict(name, r.stage, taken)
	}
	tail := fmt.Sprintf("  %7s  %s", clock(taken), left)
	space := max(columns-longest-2-len(tail), 8)
	line := styledLine{strings.TrimRight(pad(name, longest)+"  "+pad(truncate(r.text(), space), min(space, 40))+tail, " "), ""}
	if r.wrong {
		line.style = red
	}
	return line
}
