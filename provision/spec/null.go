package spec

import (
	"reflect"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// leaveOut removes from raw, a pointer to a struct for gohcl, the attributes
// that are null: `ttl = var.ttl` without a value is as if it were not written.
// What differs from node to node is not looked at here.
func (r *reader) leaveOut(raw any) {
	r.leaveOutOf(reflect.ValueOf(raw).Elem())
}

func (r *reader) leaveOutOf(raw reflect.Value) {
	for i := range raw.NumField() {
		field, is := raw.Field(i), raw.Type().Field(i)
		_, kind, _ := strings.Cut(is.Tag.Get("hcl"), ",")
		switch {
		case is.Type == reflect.TypeFor[*hcl.Attribute]():
			if a := field.Interface().(*hcl.Attribute); a != nil && !varies(a) && r.isNull(a) {
				field.SetZero()
			}
		case kind == "block" && is.Type.Kind() == reflect.Pointer && !field.IsNil():
			r.leaveOutOf(field.Elem())
		case kind == "block" && is.Type.Kind() == reflect.Slice:
			for j := range field.Len() {
				r.leaveOutOf(field.Index(j))
			}
		}
	}
}

// isNull says nothing of errors: whoever reads a finds them.
func (r *reader) isNull(a *hcl.Attribute) bool {
	v, diags := a.Expr.Value(r.ctx)
	return !diags.HasErrors() && v.IsKnown() && v.IsNull()
}
