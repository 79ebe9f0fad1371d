package view

import (
	"strings"
	"unicode"
)

// wide are the ranges of characters that take two cells of a terminal
// (Unicode Standard Annex 11: W and F, and emoji), first to last.
var wide = [][2]rune{
	{0x1100, 0x115f}, {0x231a, 0x231b}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xa960, 0xa97c}, {0xac00, 0xd7a3},
	{0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff01, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
	{0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
}

// cells is how many cells of a terminal r takes.
func cells(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	for _, w := range wide {
		if r >= w[0] && r <= w[1] {
			return 2
		}
	}
	return 1
}

// width is how many cells of a terminal s takes.
func width(s string) (n int) {
	for _, r := range s {
		n += cells(r)
	}
	return n
}

// truncate cuts s down to at most n cells; the last ones say that it was cut.
func truncate(s string, n int) string {
	if width(s) <= n {
		return s
	}
	const mark = "..."
	if n <= len(mark) {
		return mark[:max(n, 0)]
	}
	left := n - len(mark)
	for i, r := range s {
		if left -= cells(r); left < 0 {
			return s[:i] + mark
		}
	}
	return s
}

// pad fills s up to n cells.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(n-width(s), 0)) }

// clean makes one line of what others said: line ends become "; ", and no
// control character reaches the terminal, not those of C1 either.
func clean(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
