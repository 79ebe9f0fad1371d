package spec

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const maxPrinted = 100 // nobody reads on, and each costs a walk through its file

// Format prints diagnostics, tidied, for people and editors. Each begins with
//
//	error: cluster.hcl:3,12-22: Invalid MAC address
//
// followed by the lines of source and what to write instead. What stands in
// the source where a secret belongs is printed as asterisks. A width of 0
// wraps nothing. After a hundred diagnostics the rest is only counted.
func Format(diags hcl.Diagnostics, files map[string]*hcl.File, w io.Writer, color bool, width int) error {
	masked := map[string]*hcl.File{}
	for name, file := range files {
		masked[name] = mask(name, file, diags)
	}
	tidy := Tidy(diags)
	for i, d := range tidy {
		if i == maxPrinted {
			_, err := fmt.Fprintf(w, "%d more problems are not shown.\n", len(tidy)-maxPrinted)
			return err
		}
		if err := format(d, masked, w, color, width); err != nil {
			return err
		}
	}
	return nil
}

// format lets hcl write the diagnostic, and puts a first line of its own in
// the place of hcl's.
func format(d *hcl.Diagnostic, files map[string]*hcl.File, w io.Writer, color bool, width int) error {
	plain := *d
	plain.Expression, plain.EvalContext = nil, nil // hcl would print the values of what is referred to
	source := until(d, files)
	if source == nil {
		plain.Subject, plain.Context = nil, nil
	}
	var text bytes.Buffer
	if err := hcl.NewDiagnosticTextWriter(&text, source, uint(max(width, 0)), color).WriteDiagnostic(&plain); err != nil {
		return err
	}
	_, body, _ := bytes.Cut(text.Bytes(), []byte("\n"))
	_, err := fmt.Fprintf(w, "%s\n%s", headline(d, color), body)
	return err
}

// until holds d's file as far as the last line that d is about: hcl walks
// through all it is given.
func until(d *hcl.Diagnostic, files map[string]*hcl.File) map[string]*hcl.File {
	file := files[subject(d).Filename]
	if d.Subject == nil || file == nil {
		return nil
	}
	end := d.Subject.End.Byte
	if d.Context != nil {
		end = max(end, d.Context.End.Byte)
	}
	end = max(0, min(end, len(file.Bytes)))
	line, _, _ := bytes.Cut(file.Bytes[end:], []byte("\n"))
	return map[string]*hcl.File{d.Subject.Filename: {Bytes: file.Bytes[:end+len(line)], Nav: file.Nav}}
}

func headline(d *hcl.Diagnostic, color bool) string {
	severity, paint := "error", "\x1b[31m"
	if d.Severity == hcl.DiagWarning {
		severity, paint = "warning", "\x1b[33m"
	}
	if color {
		severity = paint + severity + "\x1b[0m"
	}
	if d.Subject == nil {
		return severity + ": " + d.Summary
	}
	return fmt.Sprintf("%s: %s: %s", severity, d.Subject, d.Summary)
}

// mask returns file with asterisks for what may be secret: strings given to
// attributes that hold secrets, and what diagnostics say is one.
func mask(name string, file *hcl.File, diags hcl.Diagnostics) *hcl.File {
	text := slices.Clone(file.Bytes)
	for _, at := range secretStrings(file.Bytes, name) {
		cover(text, at)
	}
	for _, d := range diags {
		if _, ok := d.Extra.(hidden); ok && d.Subject != nil && d.Subject.Filename == name {
			cover(text, *d.Subject)
		}
	}
	return &hcl.File{Body: file.Body, Bytes: text, Nav: file.Nav}
}

// cover keeps the length and the lines, so that places stay what they are.
func cover(text []byte, at hcl.Range) {
	for i := max(at.Start.Byte, 0); i < min(at.End.Byte, len(text)); i++ {
		if text[i] != '\n' {
			text[i] = '*'
		}
	}
}

var secretNames = []string{"token", "pull_secret", "password", "secret"}

// secretStrings finds the string literals on the right of attributes whose
// name promises a secret. It looks at tokens, for there may be syntax errors.
func secretStrings(text []byte, name string) []hcl.Range {
	tokens, _ := hclsyntax.LexConfig(text, name, hcl.InitialPos)
	var found []hcl.Range
	secret := false // between such a name and the end of its line
	for i, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenEqual, hclsyntax.TokenColon:
			secret = secret || namesSecret(tokens[:i])
		case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
			if secret {
				found = append(found, t.Range)
			}
		case hclsyntax.TokenNewline:
			secret = false
		}
	}
	return found
}

// namesSecret reports whether tokens end in the name of a secret, quoted (JSON) or not.
func namesSecret(tokens hclsyntax.Tokens) bool {
	for len(tokens) > 0 && tokens[len(tokens)-1].Type == hclsyntax.TokenCQuote {
		tokens = tokens[:len(tokens)-1]
	}
	return len(tokens) > 0 && slices.Contains(secretNames, string(tokens[len(tokens)-1].Bytes))
}
