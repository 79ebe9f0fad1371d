package spec

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A definition is a local, a variable or a secret: something expressions refer to.
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

// define makes the context of all other expressions in the spec. A definition
// that failed is unknown in it.
func (l *loader) define(blocks hcl.Blocks, dir string) {
	e := &evaluation{definitions: map[string]*definition{}, values: map[string]cty.Value{}}
	e.ctx = &hcl.EvalContext{Functions: functions(dir)}
	l.defineLocals(e, blocks.OfType("locals"))
	for _, b := range blocks.OfType("secret") {
		e.define(l.secretBlock(b))
	}
	l.defineVariables(e, blocks.OfType("variable"))
	names := sorted(e.definitions)
	for _, name := range names {
		e.resolve(name)
	}
	l.diags = append(l.diags, e.diags...)
	l.ctx, l.whole = e.context(names), true
	for _, name := range names { // also where there is no syntax tree to look at
		l.checkReferences(e.definitions[name].uses)
	}
}

func (l *loader) defineVariables(e *evaluation, blocks hcl.Blocks) {
	var names []string
	for _, b := range blocks {
		e.define(l.variableBlock(b))
		names = append(names, b.Labels[0])
	}
	l.readGiven(names)
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
	if e.strings(used) > maxValue {
		e.tooLarge(d)
		return cty.DynamicVal
	}
	r := &reader{ctx: e.context(used)}
	v, ok := d.eval(r)
	e.diags = append(e.diags, r.diags...)
	if !ok {
		return cty.DynamicVal
	}
	if weight(v) > maxValue {
		e.tooLarge(d)
		return cty.DynamicVal
	}
	return v
}

func (e *evaluation) tooLarge(d *definition) {
	e.errorf(d.at, "Value too large", "%s has more than %d KiB. Write a smaller value, or put the text into a file that is used where it is needed.", d.name, maxValue>>10)
}

// strings is how many bytes the strings among used have, each time that they
// are used.
func (e *evaluation) strings(used []string) int {
	sum := 0
	for _, name := range used {
		if v := e.values[name]; v != cty.NilVal && v.Type() == cty.String && v.IsKnown() && !v.IsNull() {
			sum += len(v.AsString())
		}
	}
	return sum
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
	known := map[string]map[string]cty.Value{"var": {}, "local": {}, "secret": {}}
	for _, name := range names {
		kind, rest, _ := strings.Cut(name, ".")
		if v, ok := e.values[name]; ok {
			known[kind][rest] = v
		}
	}
	variables := map[string]cty.Value{}
	for kind, values := range known {
		variables[kind] = cty.ObjectVal(values)
	}
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
