package spec

import (
	"fmt"
	"math/big"
	"net/netip"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/slipway-project/slipway/internal/secret"
)

// A reader evaluates attributes and gathers what is wrong with them. Its
// methods return false for an attribute that is not given (nil), and for one
// that is wrong, after saying so.
type reader struct {
	ctx   *hcl.EvalContext
	diags hcl.Diagnostics
	// whole: ctx has all there is, so that what it lacks is nowhere
	whole bool
}

func (r *reader) errorf(at hcl.Range, summary, format string, args ...any) {
	r.diags = append(r.diags, problem(at, summary, format, args...))
}

// warnf is errorf for what may be meant.
func (r *reader) warnf(at hcl.Range, summary, format string, args ...any) {
	r.errorf(at, summary, format, args...)
	r.diags[len(r.diags)-1].Severity = hcl.DiagWarning
}

// absentf is errorf for the lack of something called name.
func (r *reader) absentf(at hcl.Range, name, summary, format string, args ...any) {
	r.errorf(at, summary, format, args...)
	r.diags[len(r.diags)-1].Extra = absent(name)
}

func problem(at hcl.Range, summary, format string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  summary,
		Detail:   fmt.Sprintf(format, args...),
		Subject:  &at,
	}
}

// evaluate works a out. Unknown values come from errors already reported.
func (r *reader) evaluate(a *hcl.Attribute) (cty.Value, bool) {
	if _, native := a.Expr.(hclsyntax.Expression); r.whole && !native {
		r.checkReferences(a.Expr.Variables())
	}
	v, diags := a.Expr.Value(r.ctx)
	for _, d := range diags {
		if strings.Contains(d.Detail, "have secret") {
			d.Detail += " A secret is used whole: write the reference alone."
		}
	}
	r.diags = append(r.diags, diags...)
	return v, !diags.HasErrors() && v.IsWhollyKnown()
}

// value evaluates an attribute that may be missing but not null.
func (r *reader) value(a *hcl.Attribute) (cty.Value, bool) {
	if a == nil {
		return cty.NilVal, false
	}
	v, ok := r.evaluate(a)
	if ok && v.IsNull() {
		r.errorf(a.Expr.Range(), "Null value", "%q is null. Write a value, or leave the line out.", a.Name)
		return cty.NilVal, false
	}
	return v, ok
}

// as evaluates a as a value of type want; example shows how to write one.
func (r *reader) as(want cty.Type, a *hcl.Attribute, kind, example string) (cty.Value, bool) {
	v, ok := r.value(a)
	if !ok {
		return v, false
	}
	converted, err := convert.Convert(v, want)
	if err != nil {
		r.wrongType(a.Expr.Range(), a.Name, v, kind, example)
		return v, false
	}
	return converted, true
}

func (r *reader) wrongType(at hcl.Range, name string, v cty.Value, kind, example string) {
	r.errorf(at, "Wrong type", "%q must be %s, and this is %s. Write %s.", name, kind, article(v.Type()), example)
}

func article(t cty.Type) string {
	switch {
	case t.IsTupleType():
		return "a list"
	case t.IsObjectType():
		return "an object"
	}
	return "a " + t.FriendlyName()
}

func (r *reader) text(a *hcl.Attribute, example string) (string, bool) {
	v, ok := r.as(cty.String, a, "a string", assign(a, example))
	if !ok {
		return "", false
	}
	return v.AsString(), true
}

// assign writes an example for a, which may be nil.
func assign(a *hcl.Attribute, example string) string {
	if a == nil {
		return example
	}
	return a.Name + " = " + example
}

func (r *reader) boolean(a *hcl.Attribute) (value, ok bool) {
	v, ok := r.as(cty.Bool, a, "true or false", assign(a, "true"))
	return ok && v.True(), ok
}

// integer reads a whole number between low and high.
func (r *reader) integer(a *hcl.Attribute, low, high int, example string) (int, bool) {
	v, ok := r.as(cty.Number, a, "a number", assign(a, example))
	if !ok {
		return 0, false
	}
	n, exact := v.AsBigFloat().Int64()
	if exact != big.Exact || n < int64(low) || n > int64(high) {
		r.errorf(a.Expr.Range(), "Invalid number", "%q must be a whole number from %d to %d. Write %s.", a.Name, low, high, assign(a, example))
		return 0, false
	}
	return int(n), true
}

func (r *reader) address(a *hcl.Attribute, example string) (netip.Addr, bool) {
	text, ok := r.text(a, example)
	if !ok {
		return netip.Addr{}, false
	}
	return r.parseAddress(item{text, a.Expr.Range()}, example)
}

func (r *reader) parseAddress(i item, example string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(i.text)
	if err != nil || !addr.Is4() {
		r.errorf(i.at, "Invalid address", "%q is not an IPv4 address. Write one such as %s.", i.text, example)
		return netip.Addr{}, false
	}
	return addr, true
}

// An item is a string, and where it stands.
type item struct {
	text string
	at   hcl.Range
}

// items reads a list of strings, or a single string when one is written.
func (r *reader) items(a *hcl.Attribute, example string) ([]item, bool) {
	v, ok := r.value(a)
	if !ok {
		return nil, false
	}
	if v.Type() == cty.String {
		return []item{{v.AsString(), a.Expr.Range()}}, true
	}
	if !v.CanIterateElements() || v.Type().IsObjectType() || v.Type().IsMapType() {
		r.wrongType(a.Expr.Range(), a.Name, v, "a list of strings", assign(a, example))
		return nil, false
	}
	return r.elements(a, v, example)
}

func (r *reader) elements(a *hcl.Attribute, v cty.Value, example string) ([]item, bool) {
	places := elementRanges(a.Expr, v.LengthInt())
	var list []item
	good := true
	for i, element := range v.AsValueSlice() {
		if element.IsNull() || element.Type() != cty.String {
			r.wrongType(places[i], a.Name, element, "a list of strings", assign(a, example))
			good = false
			continue
		}
		list = append(list, item{element.AsString(), places[i]})
	}
	return list, good
}

// elementRanges tells where n elements stand: each at its own place in a
// written list, all at that of expr when it is computed.
func elementRanges(expr hcl.Expression, n int) []hcl.Range {
	places := make([]hcl.Range, n)
	written, diags := hcl.ExprList(expr)
	for i := range places {
		places[i] = expr.Range()
		if !diags.HasErrors() && len(written) == n {
			places[i] = written[i].Range()
		}
	}
	return places
}

// keyRange tells where a key of a written map stands; of a computed one it is
// all of expr.
func keyRange(expr hcl.Expression, key string) hcl.Range {
	pairs, diags := hcl.ExprMap(expr)
	if diags.HasErrors() {
		return expr.Range()
	}
	for _, pair := range pairs {
		v, diags := pair.Key.Value(nil)
		if !diags.HasErrors() && v.Type() == cty.String && v.IsKnown() && !v.IsNull() && v.AsString() == key {
			return pair.Key.Range()
		}
	}
	return expr.Range()
}

// secret reads a reference to a secret block. A literal is refused, and
// neither its value nor its source line is ever printed.
func (r *reader) secret(a *hcl.Attribute) (secret.Value, bool) {
	v, ok := r.value(a)
	if !ok {
		return secret.Value{}, false
	}
	s, ok := secret.FromCty(v)
	if !ok {
		r.errorf(a.Expr.Range(), "Literal secret",
			"A secret must not stand in the spec, nor be computed there. Write %s = secret.pull, and declare secret \"pull\" { file = \"~/.pull-secret.json\" } (or env, or exec).", a.Name)
		r.diags[len(r.diags)-1].Extra = hidden{}
	}
	return s, ok
}

// missing reports an attribute that must be given in the block at at.
func (r *reader) missing(a *hcl.Attribute, at hcl.Range, name, example string) bool {
	if a == nil {
		r.absentf(at, name, "Missing argument", "%q is required. Write %s = %s in this block.", name, name, example)
	}
	return a == nil
}
