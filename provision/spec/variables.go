package spec

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

type rawVariable struct {
	Type        *hcl.Attribute  `hcl:"type,optional"`
	Default     *hcl.Attribute  `hcl:"default,optional"`
	Description *hcl.Attribute  `hcl:"description,optional"`
	Env         *hcl.Attribute  `hcl:"env,optional"`
	Sensitive   *hcl.Attribute  `hcl:"sensitive,optional"`
	Validations []rawValidation `hcl:"validation,block"`
}

type rawValidation struct {
	Condition *hcl.Attribute `hcl:"condition,optional"`
	Message   *hcl.Attribute `hcl:"error_message,optional"`
	Range     hcl.Range      `hcl:",def_range"`
}

// A variable is a variable block.
type variable struct {
	name  string
	raw   rawVariable
	at    hcl.Range
	env   []string // environment variables that are read after SLIPWAY_VAR_<name>
	want  cty.Type // NilType: not known
	fills *typeexpr.Defaults
}

// variableBlock defines var.NAME.
func (l *loader) variableBlock(b *hcl.Block) *definition {
	v := &variable{name: b.Labels[0], at: b.DefRange}
	l.diags = append(l.diags, gohcl.DecodeBody(b.Body, nil, &v.raw)...)
	if !hclsyntax.ValidIdentifier(v.name) {
		l.errorf(b.LabelRanges[0], "Invalid name", "Expressions write var.%s, which %q does not allow. Write letters, digits and underscores, such as \"release\".", "NAME", v.name)
	}
	return &definition{
		name: "var." + v.name, at: v.at, uses: v.uses(),
		eval: func(r *reader) (cty.Value, bool) { return l.variable(r, v) },
	}
}

// uses are the references in v but those to itself, which validations have.
func (v *variable) uses() []hcl.Traversal {
	var uses []hcl.Traversal
	for _, a := range []*hcl.Attribute{v.raw.Default, v.raw.Description, v.raw.Env, v.raw.Sensitive} {
		if a != nil {
			uses = append(uses, a.Expr.Variables()...)
		}
	}
	for _, check := range v.raw.Validations {
		for _, a := range []*hcl.Attribute{check.Condition, check.Message} {
			if a != nil {
				uses = append(uses, v.others(a)...)
			}
		}
	}
	return uses
}

func (v *variable) others(a *hcl.Attribute) []hcl.Traversal {
	var others []hcl.Traversal
	for _, t := range a.Expr.Variables() {
		if refers(t) != "var."+v.name {
			others = append(others, t)
		}
	}
	return others
}

// variable works out the value of v: what is given from outside, or its default.
func (l *loader) variable(r *reader, v *variable) (cty.Value, bool) {
	r.text(v.raw.Description, `"what it is for"`)
	sensitive, known := r.boolean(v.raw.Sensitive)
	names, ok := l.environmentNames(r, v.raw.Env)
	v.env = names
	if v.raw.Sensitive != nil && !known { // it may be a secret
		return cty.NilVal, false
	}
	l.note(v, sensitive)
	if sensitive {
		value, good := l.sensitive(r, v)
		return value, ok && good
	}
	value, good := r.plain(v, l)
	return value, ok && good && r.validated(v, value)
}

// note keeps what the Spec tells of v.
func (l *loader) note(v *variable, sensitive bool) {
	noted := Variable{Name: v.name, Sensitive: sensitive}
	if g, ok := l.given(v); ok && !sensitive {
		noted.Given, noted.Text = true, g.written()
	}
	l.variables = append(l.variables, noted)
}

// plain is the value of a variable that is no secret.
func (r *reader) plain(v *variable, l *loader) (cty.Value, bool) {
	typed := r.typed(v)
	fallback, ok := r.fallback(v)
	if !typed || !ok {
		return cty.NilVal, false
	}
	g, found := l.given(v)
	switch {
	case found:
		return r.take(v, g)
	case v.raw.Default == nil:
		r.errorf(v.at, "Variable without a value", "%q has no default, and is not given. Write %s.", v.name, v.ways(false))
		return cty.NilVal, false
	}
	return fallback, true
}

// ways names all ways to give v a value.
func (v *variable) ways(sensitive bool) string {
	ways := []string{
		fmt.Sprintf("--var %s=VALUE", v.name),
		fmt.Sprintf("%s = VALUE in a file for --var-file", v.name),
		fmt.Sprintf("%s%s=VALUE in the environment", VariablePrefix, v.name),
	}
	if sensitive { // arguments of processes are there for all to see
		ways = ways[1:]
	}
	for _, name := range v.env {
		ways = append(ways, name+"=VALUE there")
	}
	if sensitive {
		return strings.Join(ways, ", or ")
	}
	return strings.Join(append(ways, "default = VALUE in this block"), ", or ")
}

var typeWords = []string{"string", "number", "bool", "any", "list", "set", "map", "object", "tuple", "optional"}

// typed reads the type of v, if it has one.
func (r *reader) typed(v *variable) bool {
	if v.raw.Type == nil {
		return true
	}
	var diags hcl.Diagnostics
	v.want, v.fills, diags = typeexpr.TypeConstraintWithDefaults(v.raw.Type.Expr)
	for _, d := range diags {
		d.Detail += misspeltType(d.Detail)
	}
	r.diags = append(r.diags, diags...)
	return !diags.HasErrors()
}

// misspeltType adds to what typeexpr says of a word that is no type.
func misspeltType(detail string) string {
	parts := strings.Split(detail, `"`)
	if len(parts) != 3 || !strings.Contains(detail, "not a valid type") {
		return " Write type = string, number, bool, any, list(string), map(string) or object({ name = string })."
	}
	return " " + didYouMean(parts[1], typeWords)
}

// fallback evaluates the default of v, which also is its type when none is written.
func (r *reader) fallback(v *variable) (cty.Value, bool) {
	if v.raw.Default == nil {
		v.assume(cty.String)
		return cty.NilVal, true
	}
	value, ok := r.evaluate(v.raw.Default)
	if !ok {
		return cty.NilVal, false
	}
	v.assume(value.Type())
	converted, err := v.convert(value)
	if err != nil {
		r.errorf(v.raw.Default.Expr.Range(), "Wrong type", "The default of variable %q does not fit its type: %s. Write %s.", v.name, err, v.kind())
		return cty.NilVal, false
	}
	return converted, true
}

// assume gives v the type of its default, if it has none of its own. What is
// made of parts may have other parts.
func (v *variable) assume(t cty.Type) {
	switch {
	case v.want != cty.NilType:
	case t == cty.DynamicPseudoType: // null
		v.want = cty.String
	case t.IsPrimitiveType():
		v.want = t
	default:
		v.want = cty.DynamicPseudoType
	}
}

// convert gives value the type of v.
func (v *variable) convert(value cty.Value) (cty.Value, error) {
	if v.fills != nil && !value.IsNull() {
		value = v.fills.Apply(value)
	}
	return convert.Convert(value, v.want)
}

// kind is how a person calls the type of v.
func (v *variable) kind() string {
	switch {
	case v.want == cty.DynamicPseudoType:
		return "any value"
	case v.want.IsPrimitiveType():
		return article(v.want)
	}
	return "a value of type " + typeexpr.TypeString(v.want)
}

// validated evaluates the conditions on v.
func (r *reader) validated(v *variable, value cty.Value) bool {
	good := true
	for _, check := range v.raw.Validations {
		good = r.holds(v, check, value) && good
	}
	return good
}

func (r *reader) holds(v *variable, check rawValidation, value cty.Value) bool {
	if r.missing(check.Condition, check.Range, "condition", "var."+v.name+` != ""`) ||
		r.missing(check.Message, check.Range, "error_message", `"What is wrong, and what to write instead."`) {
		return false
	}
	inner := &reader{ctx: withVariable(r.ctx, v.name, value)}
	ok, condition := inner.boolean(check.Condition)
	message, told := inner.text(check.Message, `"What is wrong, and what to write instead."`)
	r.diags = append(r.diags, inner.diags...)
	if condition && told && !ok {
		r.errorf(check.Condition.Expr.Range(), "Invalid value of a variable", "%s Variable %q, at %s, %s.", sentences(message), v.name, v.at, shown(value))
	}
	return condition && told && ok
}

// sentences gives text its final stop.
func sentences(text string) string {
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "!") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// shown says what value is, as far as that is short.
func shown(value cty.Value) string {
	text, err := convert.Convert(value, cty.String)
	if err != nil || text.IsNull() || len(text.AsString()) > 80 {
		return "has another value"
	}
	return fmt.Sprintf("is %q", text.AsString())
}

// withVariable is ctx in which var.NAME has value.
func withVariable(ctx *hcl.EvalContext, name string, value cty.Value) *hcl.EvalContext {
	variables := map[string]cty.Value{name: value}
	for other, v := range ctx.Variables["var"].AsValueMap() {
		if other != name {
			variables[other] = v
		}
	}
	child := ctx.NewChild()
	child.Variables = map[string]cty.Value{"var": cty.ObjectVal(variables)}
	return child
}
