package spec

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// hidden is the Extra of a diagnostic whose subject may be a secret.
type hidden struct{}

// Tidy sorts diagnostics by place and leaves out repetitions and those that
// only follow from another one. Warnings stay. Load's diagnostics are tidy;
// together with those of providers and installers they are not.
func Tidy(diags hcl.Diagnostics) hcl.Diagnostics {
	all := slices.Clone(diags)
	slices.SortStableFunc(all, byPlace)
	all = slices.CompactFunc(all, func(a, b *hcl.Diagnostic) bool { return byPlace(a, b) == 0 })
	roots := slices.DeleteFunc(slices.Clone(all), func(d *hcl.Diagnostic) bool { return !isRoot(d) })
	return slices.DeleteFunc(slices.Clone(all), func(d *hcl.Diagnostic) bool { return follows(d, all, roots) })
}

func byPlace(a, b *hcl.Diagnostic) int {
	x, y := subject(a), subject(b)
	return cmp.Or(cmp.Compare(x.Filename, y.Filename), cmp.Compare(x.Start.Byte, y.Start.Byte),
		cmp.Compare(x.End.Byte, y.End.Byte), cmp.Compare(a.Summary, b.Summary), cmp.Compare(a.Detail, b.Detail))
}

func subject(d *hcl.Diagnostic) hcl.Range {
	if d.Subject == nil {
		return hcl.Range{}
	}
	return *d.Subject
}

// follows reports whether d is said only because of another of all; roots are
// those of them that say why expressions fail.
func follows(d *hcl.Diagnostic, all, roots hcl.Diagnostics) bool {
	if d.Severity != hcl.DiagError || isRoot(d) {
		return false
	}
	if name, ok := d.Extra.(absent); ok {
		return misspelt(string(name), all)
	}
	if d.Summary != unsuitable {
		return slices.ContainsFunc(roots, func(root *hcl.Diagnostic) bool { return subject(d).Overlaps(subject(root)) })
	}
	unknown := strings.HasSuffix(d.Detail, "value must be known")
	return slices.ContainsFunc(all, func(other *hcl.Diagnostic) bool {
		return other != d && other.Severity == hcl.DiagError && (unknown || whole(d).Overlaps(subject(other)))
	})
}

// unsuitable is what gohcl says after any failure of an expression.
const unsuitable = "Unsuitable value type"

// isRoot recognises our own word on references; hcl finds the same again when
// it evaluates the expression.
func isRoot(d *hcl.Diagnostic) bool {
	_, ok := d.Extra.(reference)
	return ok
}

// absent is the Extra of a diagnostic on the lack of the thing it names.
type absent string

// misspelt reports whether what is called name is there after all, with a typo.
func misspelt(name string, all hcl.Diagnostics) bool {
	return slices.ContainsFunc(all, func(d *hcl.Diagnostic) bool {
		return strings.HasSuffix(d.Detail, fmt.Sprintf("Did you mean %q?", name))
	})
}

// reference is the Extra of a diagnostic from checkReferences.
type reference struct{}

func whole(d *hcl.Diagnostic) hcl.Range {
	if d.Context != nil && d.Summary == unsuitable {
		return *d.Context
	}
	return subject(d)
}

// advise adds to the parser's diagnostics what people mostly need to hear.
func advise(diags hcl.Diagnostics) hcl.Diagnostics {
	for _, d := range diags {
		if strings.Contains(d.Detail, "ingle-line block") || d.Summary == "Invalid single-argument block definition" {
			d.Detail += " A block on one line holds one argument; write each of several on a line of its own."
		}
	}
	return diags
}

const maxSyntax = 20

// fewer cuts what the parser says of one file: errors of syntax breed errors,
// and of a file that is no HCL at all there is one for each byte.
func fewer(diags hcl.Diagnostics) hcl.Diagnostics {
	if len(diags) <= maxSyntax {
		return diags
	}
	slices.SortStableFunc(diags, byPlace)
	more := problem(subject(diags[maxSyntax]), "More errors of syntax", "There are %d more from here on. Mend those above first, or see whether this is a cluster spec at all.", len(diags)-maxSyntax)
	return append(slices.Clone(diags[:maxSyntax]), more)
}

// sentence makes an error on a file, named by flag, that of a diagnostic.
func sentence(err error, flag string) string {
	var missing *fs.PathError
	if errors.As(err, &missing) && errors.Is(err, fs.ErrNotExist) {
		return "There is no file " + missing.Path + ". Write one, or name another with " + flag + " FILE."
	}
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
