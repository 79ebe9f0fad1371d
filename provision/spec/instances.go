package spec

import (
	"fmt"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// An instance is what one node of a machines block is made from.
type instance struct {
	key   string    // behind the label and a hyphen: the node's name
	root  string    // each or count
	value cty.Value // of the root
}

// context is ctx with what expressions of this instance refer to.
func (in instance) context(ctx *hcl.EvalContext) *hcl.EvalContext {
	return child(ctx, in.root, in.value)
}

func eachObject(key string, value cty.Value) cty.Value {
	return cty.ObjectVal(map[string]cty.Value{"key": cty.StringVal(key), "value": value})
}

func countObject(i int) cty.Value {
	return cty.ObjectVal(map[string]cty.Value{"index": cty.NumberIntVal(int64(i))})
}

// varies reports whether a has another value for each node.
func varies(a *hcl.Attribute) bool {
	if a == nil {
		return false
	}
	for _, t := range a.Expr.Variables() {
		if root := t.RootName(); root == "each" || root == "count" {
			return true
		}
	}
	return false
}

// traits are the attributes of raw that each node has, in its own or all in
// the same way.
func (raw *rawMachines) traits() []**hcl.Attribute {
	return []**hcl.Attribute{&raw.Role, &raw.CPUs, &raw.Memory, &raw.Disk, &raw.Network, &raw.Spread, &raw.Labels}
}

// shared is raw without the traits that vary.
func (raw rawMachines) shared() rawMachines {
	for _, a := range raw.traits() {
		if varies(*a) {
			*a = nil
		}
	}
	return raw
}

// own is raw without the traits that do not vary, nil when none does.
func (raw rawMachines) own() *rawMachines {
	some := false
	for _, a := range raw.traits() {
		if !varies(*a) {
			*a = nil
		}
		some = some || *a != nil
	}
	if !some {
		return nil
	}
	return &raw
}

// source is the attribute that says how many nodes there are.
func (raw *rawMachines) source() *hcl.Attribute {
	for _, a := range []*hcl.Attribute{raw.ForEach, raw.Count, raw.Addresses, raw.MACs} {
		if a != nil {
			return a
		}
	}
	return nil
}

// instances are the nodes that raw asks for. When their number is not known
// they are as many as have something written for them, to be looked at all
// the same.
func (l *loader) instances(raw *rawMachines, lists lists) ([]instance, bool) {
	if raw.ForEach != nil && raw.Count != nil {
		l.errorf(raw.Count.NameRange, "Two counts", "for_each at %s says how many nodes there are already. Remove one of them.", raw.ForEach.NameRange)
		return nil, false
	}
	if raw.ForEach != nil {
		return l.forEach(raw)
	}
	count, ok := l.count(raw, lists)
	if !ok {
		count = min(max(len(lists.addresses), len(lists.macs)), maxCount)
	}
	var list []instance
	for i := range count {
		list = append(list, instance{strconv.Itoa(i), "count", countObject(i)})
	}
	return list, ok
}

// count is how many nodes raw asks for: as many as it has addresses or MACs,
// if it does not say.
func (l *loader) count(raw *rawMachines, lists lists) (int, bool) {
	switch {
	case raw.Count != nil:
		return l.integer(raw.Count, 0, maxCount, "3")
	case lists.static():
		return len(lists.addresses), lists.addressesOK
	case lists.macs != nil || raw.MACs != nil && !lists.macsOK:
		return len(lists.macs), lists.macsOK
	case raw.Addresses != nil && !varies(raw.Addresses) && !lists.addressesOK:
		return 0, false
	}
	l.missing(nil, raw.Range, "count", "3")
	return 0, false
}

// forEach reads a map, an object or a set of strings.
func (l *loader) forEach(raw *rawMachines) ([]instance, bool) {
	v, ok := l.value(raw.ForEach)
	if !ok || !l.enumerable(raw.ForEach, v) {
		return nil, false
	}
	var list []instance
	for it := v.ElementIterator(); it.Next(); {
		key, value := it.Element()
		if v.Type().IsSetType() {
			key = value
		}
		if !l.key(raw, key) {
			ok = false
			continue
		}
		list = append(list, instance{key.AsString(), "each", eachObject(key.AsString(), value)})
	}
	return list, ok
}

// enumerable checks that v has keys to name nodes by, and not too many.
func (l *loader) enumerable(a *hcl.Attribute, v cty.Value) bool {
	set := v.Type().IsSetType() && v.Type().ElementType() == cty.String
	switch {
	case !set && !v.Type().IsMapType() && !v.Type().IsObjectType():
		l.errorf(a.Expr.Range(), "Wrong type", "%q must be a map or a set of strings, and this is %s. Write %s, or toset([\"a\", \"b\"]).",
			a.Name, article(v.Type()), assign(a, `{ a = "192.0.2.204", b = "192.0.2.205" }`))
		return false
	case v.LengthInt() > maxCount:
		l.errorf(a.Expr.Range(), "Too many nodes", "A machines block has at most %d nodes, and this has %d. Write several blocks.", maxCount, v.LengthInt())
		return false
	}
	return true
}

// key checks what becomes part of a node's name.
func (l *loader) key(raw *rawMachines, key cty.Value) bool {
	if key.IsNull() || !label.MatchString(key.AsString()) {
		l.errorf(keyRange(raw.ForEach.Expr, text(key)), "Invalid key", "Keys become parts of node names; %s cannot. Write lower-case letters, digits and inner hyphens (RFC 1123), such as %q.",
			quoted(key), propose(text(key), "a", maxLabel))
		return false
	}
	return true
}

func text(v cty.Value) string {
	if v.IsNull() {
		return ""
	}
	return v.AsString()
}

func quoted(v cty.Value) string {
	if v.IsNull() {
		return "null"
	}
	return fmt.Sprintf("%q", v.AsString())
}
