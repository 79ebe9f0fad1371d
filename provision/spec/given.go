package spec

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/slipway-project/slipway/internal/secret"
)

// A given value is one that a variable has from outside of the spec.
type given struct {
	origin string    // --var x
	text   string    // from an argument or the environment
	value  cty.Value // from a file; NilVal: text is given
	at     hcl.Range // in that file
	argv   bool      // an argument of the process, which everybody can see
}

// readGiven reads the arguments of --var and the files of --var-file. names
// are the variables that there are.
func (l *loader) readGiven(names []string) {
	l.values = map[string]given{}
	for _, path := range l.opts.VarFiles {
		l.varFile(path, names)
	}
	for i, text := range l.opts.Vars {
		name, value, ok := strings.Cut(text, "=")
		switch {
		case !ok: // without what was written, which may be a secret
			l.outside("Invalid --var", "--var takes NAME=VALUE, and number %d of them has no equals sign.", i+1)
		case !slices.Contains(names, name):
			l.outside("Unknown variable", "--var %s: there is no variable of that name. %s", name, didYouMean(name, names))
		default:
			l.values[name] = given{origin: "--var " + name, text: value, argv: true}
		}
	}
}

// outside reports a problem that stands in no file.
func (l *loader) outside(summary, format string, args ...any) {
	l.diags = append(l.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(format, args...)})
}

// varFile reads NAME = VALUE lines, or a JSON object. The file stays out of
// l.files: diagnostics show no lines of what may hold secrets.
func (l *loader) varFile(path string, names []string) {
	text, err := l.read(path)
	if err != nil {
		l.outside("Cannot read the variables", "%s", sentence(err, "--var-file"))
		return
	}
	file, diags := parseText(path, text)
	if diags.HasErrors() || file.Body == nil {
		l.unreadable(path, diags)
		return
	}
	attributes, diags := file.Body.JustAttributes()
	if diags.HasErrors() {
		l.unreadable(path, diags)
		return
	}
	for _, name := range sorted(attributes) {
		l.fileValue(attributes[name], names)
	}
}

// unreadable tells the first place where a file of variables is wrong, in
// words of our own: those of the parser quote what stands there.
func (l *loader) unreadable(path string, diags hcl.Diagnostics) {
	at := hcl.Range{Filename: path, Start: hcl.InitialPos, End: hcl.InitialPos}
	if len(diags) > 0 && diags[0].Subject != nil {
		at = *diags[0].Subject
	}
	l.errorf(at, "Invalid file of variables", "Its lines are not shown, for they may hold secrets. Write NAME = VALUE lines (in a file *.json an object), with strings in quotes, and without blocks.")
}

func (l *loader) fileValue(a *hcl.Attribute, names []string) {
	if !slices.Contains(names, a.Name) {
		l.errorf(a.NameRange, "Unknown variable", "There is no variable %q. %s", a.Name, didYouMean(a.Name, names))
		return
	}
	value, diags := a.Expr.Value(nil)
	if diags.HasErrors() || !value.IsWhollyKnown() {
		l.errorf(a.Expr.Range(), "Invalid value of a variable", "The value of %q must be a literal: it can refer to nothing and call no function. Write strings in quotes.", a.Name)
		return
	}
	origin := fmt.Sprintf("%s:%d", filepath.ToSlash(a.Range.Filename), a.Range.Start.Line)
	l.values[a.Name] = given{origin: origin, value: value, at: a.Expr.Range()}
}

// given is the value that v has from outside, by the first of its ways that
// is used.
func (l *loader) given(v *variable) (given, bool) {
	if g, ok := l.values[v.name]; ok {
		return g, true
	}
	for _, name := range append([]string{VariablePrefix + v.name}, v.env...) {
		if text, ok := l.opts.LookupEnv(name); ok {
			return given{origin: "environment variable " + name, text: text}, true
		}
	}
	return given{}, false
}

// written is what gives the same value as g in the environment.
func (g given) written() string {
	if g.value == cty.NilVal {
		return g.text
	}
	if text, err := convert.Convert(g.value, cty.String); err == nil && !text.IsNull() {
		return text.AsString()
	}
	return string(hclwrite.TokensForValue(g.value).Bytes())
}

// take gives v the value from outside.
func (r *reader) take(v *variable, g given) (cty.Value, bool) {
	at := v.at
	if g.value != cty.NilVal {
		at = g.at
	}
	value, err := v.read(g)
	if err != nil {
		r.errorf(at, "Invalid value of a variable", "%s: %s. Write %s for variable %q.", g.origin, err, v.kind(), v.name)
		return cty.NilVal, false
	}
	return value, true
}

// read makes g a value of v's type: strings, numbers and booleans are what
// stands there, all else is an expression of literals.
func (v *variable) read(g given) (cty.Value, error) {
	switch {
	case g.value != cty.NilVal:
		return v.convert(g.value)
	case v.want.IsPrimitiveType():
		return v.convert(cty.StringVal(g.text))
	}
	value, err := literal(g.text)
	if err != nil {
		return cty.NilVal, err
	}
	return v.convert(value)
}

func literal(text string) (cty.Value, error) {
	wrong := fmt.Errorf("it is no HCL value; write lists as [\"a\", \"b\"], maps as {a = \"b\"}, strings as \"a\"")
	if notText([]byte(text), "").HasErrors() || tooDeep([]byte(text), "").HasErrors() {
		return cty.NilVal, wrong
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), "", hcl.InitialPos)
	if diags.HasErrors() {
		return cty.NilVal, wrong
	}
	value, diags := expr.Value(nil)
	if diags.HasErrors() || !value.IsWhollyKnown() {
		return cty.NilVal, wrong
	}
	return value, nil
}

// sensitive is the value of a sensitive variable: a secret, which is read when
// it is needed, as one of a secret block is.
func (l *loader) sensitive(r *reader, v *variable) (cty.Value, bool) {
	fallback, ok := r.sensitiveBlock(v)
	g, found := l.given(v)
	switch {
	case !ok:
		return cty.NilVal, false
	case found && g.argv:
		r.errorf(v.at, "Secret in an argument", "Everybody on this host can read the arguments of a process, and variable %q is sensitive. Write %s.", v.name, v.ways(true))
		return cty.NilVal, false
	case found && g.value != cty.NilVal:
		return r.secretOf(v, g)
	case !found && v.raw.Default != nil:
		return fallback, true
	}
	names := append([]string{VariablePrefix + v.name}, v.env...)
	origin := fmt.Sprintf("environment variable %s (variable %q, %s)", strings.Join(names, " or "), v.name, v.at)
	read := source{origin, func() (string, error) { return lookup(l.opts.LookupEnv, names) }}
	return secret.ToCty(secret.New(origin, read.trimmed)), true
}

// sensitiveBlock checks what a sensitive variable may not have, and reads its
// default, which is another secret.
func (r *reader) sensitiveBlock(v *variable) (cty.Value, bool) {
	good := r.typed(v)
	if good && v.raw.Type != nil && v.want != cty.String {
		r.errorf(v.raw.Type.Expr.Range(), "Invalid type", "A sensitive variable is a secret, and secrets are strings. Write type = string, or leave it out.")
		good = false
	}
	for _, check := range v.raw.Validations {
		r.errorf(check.Range, "Secret in a validation", "A sensitive variable is not read before it is needed, and so cannot be validated. Remove this block.")
		good = false
	}
	if v.raw.Default == nil {
		return cty.NilVal, good
	}
	value, ok := r.secret(v.raw.Default)
	return secret.ToCty(value), good && ok
}

// secretOf takes a secret out of a file of variables.
func (r *reader) secretOf(v *variable, g given) (cty.Value, bool) {
	if g.value.IsNull() || g.value.Type() != cty.String {
		r.errorf(g.at, "Invalid value of a variable", "Variable %q is sensitive, and secrets are strings. Write a string.", v.name)
		return cty.NilVal, false
	}
	text := g.value.AsString()
	read := source{g.origin, func() (string, error) { return text, nil }}
	return secret.ToCty(secret.New(g.origin+" (variable \""+v.name+"\")", read.trimmed)), true
}
