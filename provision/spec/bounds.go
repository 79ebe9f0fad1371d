package spec

import (
	"bufio"
	"bytes"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

const maxNesting = 100

// notText refuses what is no text of lines. hcl's RangeScanner, with which it
// prints source, never ends on a grapheme cluster longer than the buffer of a
// bufio.Scanner; a run of bytes that are no UTF-8 counts as one.
func notText(text []byte, name string) hcl.Diagnostics {
	at := hcl.Range{Filename: name, Start: hcl.InitialPos, End: hcl.InitialPos}
	if !utf8.Valid(text) {
		return hcl.Diagnostics{problem(at, "Not a text file", "A cluster spec is text in UTF-8, and this is not. Name another file with -f FILE.")}
	}
	for line := range bytes.Lines(text) {
		if len(line) >= bufio.MaxScanTokenSize {
			return hcl.Diagnostics{problem(at, "Line too long", "Line %d has more than 64 KiB. Write it on several lines.", at.Start.Line)}
		}
		at.Start.Line++
		at.Start.Byte += len(line)
		at.End = at.Start
	}
	return nil
}

// maxLoops bounds how deep `for` stands in `for`: each level multiplies the
// work by up to 4096 elements, see weight.
const maxLoops = 2

// tooDeep finds where text nests deeper than anybody writes. hcl's parser
// recurses without a bound, some 8 KiB a level, and a stack overflow is a
// crash that nothing recovers from.
func tooDeep(text []byte, name string) hcl.Diagnostics {
	tokens, _ := hclsyntax.LexConfig(text, name, hcl.InitialPos)
	var n nesting
	for _, t := range tokens {
		n.next(t)
		switch {
		case len(n.open) > maxNesting || n.chain > maxNesting:
			return hcl.Diagnostics{problem(t.Range, "Nested too deeply", "Brackets, blocks and operators nest at most %d deep. Write parts of this as locals.", maxNesting)}
		case n.loops() > maxLoops:
			return hcl.Diagnostics{problem(t.Range, "Nested too deeply", "for stands in for at most %d deep. Write the inner ones as locals.", maxLoops)}
		}
	}
	return nil
}

// nesting follows tokens.
type nesting struct {
	open  []bracket
	chain int // of operators without an end of an operand between them
}

// A bracket is one that is open.
type bracket struct {
	kind hclsyntax.TokenType
	full bool // something stands in it
	loop bool // that begins with for
}

func (n *nesting) next(t hclsyntax.Token) {
	n.fill(t)
	switch t.Type {
	case hclsyntax.TokenOBrack:
		n.chain++ // a[0][0][0]
		n.open = append(n.open, bracket{kind: t.Type})
	case hclsyntax.TokenOBrace, hclsyntax.TokenOParen, hclsyntax.TokenOQuote,
		hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
		n.open = append(n.open, bracket{kind: t.Type})
	case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
		n.close()
	case hclsyntax.TokenTemplateSeqEnd:
		n.close()
		n.chain = 0
	case hclsyntax.TokenComma:
		n.chain = 0
	case hclsyntax.TokenBang, hclsyntax.TokenPlus, hclsyntax.TokenMinus, hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPercent,
		hclsyntax.TokenQuestion, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenDot, hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual:
		n.chain++
	case hclsyntax.TokenNewline:
		if len(n.open) == 0 || n.open[len(n.open)-1].kind == hclsyntax.TokenOBrace {
			n.chain = 0
		}
	}
}

// fill notes whether the first word in the innermost bracket is for.
func (n *nesting) fill(t hclsyntax.Token) {
	if len(n.open) == 0 || t.Type == hclsyntax.TokenNewline || t.Type == hclsyntax.TokenComment {
		return
	}
	innermost := &n.open[len(n.open)-1]
	if !innermost.full {
		innermost.full, innermost.loop = true, t.Type == hclsyntax.TokenIdent && string(t.Bytes) == "for"
	}
}

func (n *nesting) loops() int {
	loops := 0
	for _, b := range n.open {
		if b.loop {
			loops++
		}
	}
	return loops
}

func (n *nesting) close() { n.open = n.open[:max(0, len(n.open)-1)] }

// maxValue bounds the weight of a local or variable: without a bound, thirty
// locals that each hold the one before twice fill all memory there is.
const maxValue = 256 << 10

// weight is how much room v takes: bytes of strings, and 64 for each value.
func weight(v cty.Value) int {
	switch {
	case !v.IsKnown() || v.IsNull():
		return 64
	case v.Type() == cty.String:
		return 64 + len(v.AsString())
	case !v.CanIterateElements():
		return 64
	}
	sum := 64
	for it := v.ElementIterator(); it.Next() && sum <= maxValue; {
		_, element := it.Element()
		sum += weight(element)
	}
	return sum
}
