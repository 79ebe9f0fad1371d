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
	return slices.DeleteFunc(slices.Clone(all), func(d *hcl.Diagnostic) bool { return follows(d, all) })
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

// follows reports whether d is said only because an expression had failed.
func follows(d *hcl.Diagnostic, all hcl.Diagnostics) bool {
	if d.Severity != hcl.DiagError || isRoot(d) {
		return false
	}
	if name, ok := d.Extra.(absent); ok {
		return misspelt(string(name), all)
	}
	unsuitable := d.Summary == "Unsuitable value type" // gohcl, after any failure
	unknown := unsuitable && strings.HasSuffix(d.Detail, "value must be known")
	return slices.ContainsFunc(all, func(other *hcl.Diagnostic) bool {
		if other == d || other.Severity != hcl.DiagError {
			return false
		}
		return unknown || (unsuitable || isRoot(other)) && whole(d).Overlaps(subject(other))
	})
}

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
		return strings.HasPrefix(d.Summary, "Unsupported") && strings.HasSuffix(d.Detail, fmt.Sprintf("Did you mean %q?", name))
	})
}

// reference is the Extra of a diagnostic from checkReferences.
type reference struct{}

func whole(d *hcl.Diagnostic) hcl.Range {
	if d.Context != nil && d.Summary == "Unsuitable value type" {
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

// sentence makes an error the sentence of a diagnostic.
func sentence(err error) string {
	var missing *fs.PathError
	if errors.As(err, &missing) && errors.Is(err, fs.ErrNotExist) {
		return "There is no file " + missing.Path + ". Write one, or name another with -f FILE."
	}
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
