package spec

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// checkFiles looks at every reference in the files, also in bodies that are
// decoded elsewhere, where the error would come late and without advice. (A
// file in JSON has no syntax tree to look at: see [reader.evaluate].)
func (l *loader) checkFiles() {
	for _, file := range l.files {
		if body, ok := file.Body.(*hclsyntax.Body); ok {
			l.checkBody(body)
		}
	}
}

func (l *loader) checkBody(body *hclsyntax.Body) {
	for _, a := range body.Attributes {
		l.checkReferences(a.Expr.Variables())
		l.refuseEnv(a.Expr)
	}
	for _, b := range body.Blocks {
		l.in(scope(l.ctx, b), func() { l.checkBody(withoutTypes(b)) })
	}
}

// in does what do does, in another context.
func (r *reader) in(ctx *hcl.EvalContext, do func()) {
	before := r.ctx
	r.ctx = ctx
	do()
	r.ctx = before
}

// scope is ctx with what is known only in a block like b. Only the names
// matter, not the values.
func scope(ctx *hcl.EvalContext, b *hclsyntax.Block) *hcl.EvalContext {
	switch {
	case b.Type == "check":
		return child(ctx, "self", selfObject("", ""))
	case b.Type != "machines":
		return ctx
	case b.Body.Attributes["for_each"] != nil:
		return child(ctx, "each", eachObject("", cty.DynamicVal))
	}
	return child(ctx, "count", countObject(0))
}

// child is ctx in which name has value.
func child(ctx *hcl.EvalContext, name string, value cty.Value) *hcl.EvalContext {
	inner := ctx.NewChild()
	inner.Variables = map[string]cty.Value{name: value}
	return inner
}

// withoutTypes leaves out what is no expression: the type of a variable.
func withoutTypes(b *hclsyntax.Block) *hclsyntax.Body {
	if b.Type != "variable" || b.Body.Attributes["type"] == nil {
		return b.Body
	}
	rest := hclsyntax.Attributes{}
	for name, a := range b.Body.Attributes {
		if name != "type" {
			rest[name] = a
		}
	}
	return &hclsyntax.Body{Attributes: rest, Blocks: b.Body.Blocks}
}

// referencef is errorf for what makes expressions fail wherever they are evaluated.
func (r *reader) referencef(at hcl.Range, summary, format string, args ...any) {
	r.errorf(at, summary, format, args...)
	r.diags[len(r.diags)-1].Extra = reference{}
}

func (r *reader) checkReferences(traversals []hcl.Traversal) {
	for _, t := range traversals {
		r.checkReference(t)
	}
}

func (r *reader) checkReference(t hcl.Traversal) {
	root, name, _ := strings.Cut(refers(t), ".")
	known, isRoot := find(r.ctx, root)
	switch {
	case !isRoot:
		r.referencef(t.SourceRange(), "Unknown reference", "There is no %q%s.", root, elsewhere(root))
	case name == "":
		r.referencef(t.SourceRange(), "Incomplete reference", "Write which one: %s.NAME. %s", root, didYouMean("", sorted(known.AsValueMap())))
	case !known.Type().HasAttribute(name):
		r.referencef(t.SourceRange(), "Unknown reference", "There is no %s named %q. %s", called(root), name, didYouMean(name, sorted(known.AsValueMap())))
	}
}

// find looks for a root in ctx and those that it stands in.
func find(ctx *hcl.EvalContext, root string) (cty.Value, bool) {
	for ; ctx != nil; ctx = ctx.Parent() {
		if v, ok := ctx.Variables[root]; ok {
			return v, true
		}
	}
	return cty.NilVal, false
}

// elsewhere ends a sentence on a root that is not known here.
func elsewhere(root string) string {
	switch root {
	case "each":
		return " here: each.key and each.value are for machines blocks with for_each"
	case "count":
		return " here: count.index is for machines blocks with count"
	case "self":
		return " here: self.fqdn, self.name and self.domain are for check blocks"
	}
	return ". Expressions refer to var.NAME, local.NAME and secret.NAME"
}

// called is what a person calls the things below a root.
func called(root string) string {
	switch root {
	case "var":
		return "variable"
	case "each", "count", "self":
		return "attribute of " + root
	}
	return root
}

// refuseEnv looks for calls of env(), which other tools have.
func (l *loader) refuseEnv(expr hclsyntax.Expression) {
	hclsyntax.VisitAll(expr, func(n hclsyntax.Node) hcl.Diagnostics {
		if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && call.Name == "env" {
			l.referencef(call.Range(), "No env function", "What a plan depends on is declared. Write variable \"x\" { env = \"NAME\" } and var.x, or secret \"x\" { env = \"NAME\" } and secret.x.")
		}
		return nil
	})
}
