package spec

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// A definition is a local or a secret: something expressions refer to.
type definition struct {
	name string // local.lan
	at   hcl.Range
	uses []hcl.Traversal
	eval func(*reader) (cty.Value, bool)
}

// An evaluation works out definitions in the order they need each other.
type evaluation struct {
	reader
	definitions map[string]*definition
	values      map[string]cty.Value
	path        []string // being worked out now
}

// evaluate returns the context of all other expressions in the spec. A
// definition that failed is unknown in it.
func (l *loader) evaluate(blocks hcl.Blocks, dir string) *hcl.EvalContext {
	e := &evaluation{definitions: map[string]*definition{}, values: map[string]cty.Value{}}
	e.ctx = &hcl.EvalContext{Functions: functions(dir)}
	l.defineLocals(e, blocks.OfType("locals"))
	for _, b := range blocks.OfType("secret") {
		e.define(l.secretBlock(b))
	}
	names := sorted(e.definitions)
	for _, name := range names {
		e.resolve(name)
	}
	l.diags = append(l.diags, e.diags...)
	return e.context(names)
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (l *loader) defineLocals(e *evaluation, blocks hcl.Blocks) {
	for _, b := range blocks {
		attributes, diags := b.Body.JustAttributes()
		l.diags = append(l.diags, diags...)
		for _, name := range sorted(attributes) {
			e.define(localDefinition(attributes[name]))
		}
	}
}

func localDefinition(a *hcl.Attribute) *definition {
	return &definition{
		name: "local." + a.Name, at: a.NameRange, uses: a.Expr.Variables(),
		eval: func(r *reader) (cty.Value, bool) { return r.evaluate(a) },
	}
}

func (e *evaluation) define(d *definition) {
	if before := e.definitions[d.name]; before != nil {
		e.errorf(d.at, "Duplicate local", "%s is defined already, at %s. Give this one another name.", d.name, before.at)
		return
	}
	e.definitions[d.name] = d
}

// resolve works out name, after everything that it uses.
func (e *evaluation) resolve(name string) {
	d := e.definitions[name]
	if _, done := e.values[name]; d == nil || done {
		return
	}
	if i := slices.Index(e.path, name); i >= 0 {
		e.cycle(d, append(slices.Clone(e.path[i:]), name))
		return
	}
	e.path = append(e.path, name)
	var used []string
	for _, t := range d.uses {
		used = append(used, refers(t))
		e.resolve(refers(t))
	}
	e.path = e.path[:len(e.path)-1]
	if _, failed := e.values[name]; !failed {
		e.values[name] = e.work(d, used)
	}
}

func (e *evaluation) work(d *definition, used []string) cty.Value {
	r := &reader{ctx: e.context(used)}
	v, ok := d.eval(r)
	e.diags = append(e.diags, r.diags...)
	if !ok {
		return cty.DynamicVal
	}
	return v
}

// cycle reports definitions that need each other, once.
func (e *evaluation) cycle(d *definition, names []string) {
	for _, name := range names {
		e.values[name] = cty.DynamicVal
	}
	e.errorf(d.at, "Circular reference", "%s. Write one of them without the others.", strings.Join(names, " needs "))
}

// context holds the values of names, as far as they are worked out.
func (e *evaluation) context(names []string) *hcl.EvalContext {
	locals, secrets := map[string]cty.Value{}, map[string]cty.Value{}
	for _, name := range names {
		kind, rest, _ := strings.Cut(name, ".")
		if v, ok := e.values[name]; ok && kind == "local" {
			locals[rest] = v
		} else if ok {
			secrets[rest] = v
		}
	}
	variables := map[string]cty.Value{"local": cty.ObjectVal(locals), "secret": cty.ObjectVal(secrets)}
	return &hcl.EvalContext{Variables: variables, Functions: e.ctx.Functions}
}

// refers is what t names: "local.lan", or only its root when it says no more.
func refers(t hcl.Traversal) string {
	if len(t) < 2 {
		return t.RootName()
	}
	switch step := t[1].(type) {
	case hcl.TraverseAttr:
		return t.RootName() + "." + step.Name
	case hcl.TraverseIndex:
		if step.Key.Type() == cty.String {
			return t.RootName() + "." + step.Key.AsString()
		}
	}
	return t.RootName()
}

// checkReferences looks at every reference in the files, also in bodies that
// are decoded elsewhere, where the error would come late and without advice.
// (A file in JSON has no syntax tree to look at: hcl itself reports there.)
func (l *loader) checkReferences() {
	for _, file := range l.files {
		if body, ok := file.Body.(*hclsyntax.Body); ok {
			l.checkBody(body)
		}
	}
}

func (l *loader) checkBody(body *hclsyntax.Body) {
	for _, a := range body.Attributes {
		for _, t := range a.Expr.Variables() {
			l.checkReference(t)
		}
		l.refuseEnv(a.Expr)
	}
	for _, b := range body.Blocks {
		l.checkBody(b.Body)
	}
}

// referencef is errorf for what makes expressions fail wherever they are evaluated.
func (l *loader) referencef(at hcl.Range, summary, format string, args ...any) {
	l.errorf(at, summary, format, args...)
	l.diags[len(l.diags)-1].Extra = reference{}
}

func (l *loader) checkReference(t hcl.Traversal) {
	root, name, _ := strings.Cut(refers(t), ".")
	known, isRoot := l.ctx.Variables[root]
	switch {
	case !isRoot:
		l.referencef(t.SourceRange(), "Unknown reference", "There is no %q. Expressions refer to local.NAME and secret.NAME.", root)
	case name == "":
		l.referencef(t.SourceRange(), "Incomplete reference", "Write which one: %s.NAME. %s", root, didYouMean("", sorted(known.AsValueMap())))
	case !known.Type().HasAttribute(name):
		l.referencef(t.SourceRange(), "Unknown reference", "There is no %s named %q. %s", root, name, didYouMean(name, sorted(known.AsValueMap())))
	}
}

// refuseEnv looks for calls of env(), which other tools have.
func (l *loader) refuseEnv(expr hclsyntax.Expression) {
	hclsyntax.VisitAll(expr, func(n hclsyntax.Node) hcl.Diagnostics {
		if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && call.Name == "env" {
			l.referencef(call.Range(), "No env function", "A plan must not depend on the environment. Declare secret \"x\" { env = \"NAME\" } and write secret.x.")
		}
		return nil
	})
}
