package pve

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A schema names the parameters of a method, or the keys of a property
// string. A name that ends in "[n]" is a family of numbered ones.
type schema map[string]property

// A property is one parameter. The methods that begin with a lower-case verb
// return a changed copy, so that schemas read as tables.
type property struct {
	kind      string // "string", "integer", "number", "boolean"
	optional  bool
	min, max  *float64
	maxLength int
	pattern   *regexp.Regexp
	enum      []string
	format    func(string) error
	keys      schema // of a property string
	requires  string
	members   int    // size of a family
	isDefault bool   // key of a value without key
	alias     string // other name of that key
	keyAlias  string // and this key gets the name used
}

var (
	text    = property{kind: "string"}
	integer = property{kind: "integer"}
	number  = property{kind: "number"}
	boolean = property{kind: "boolean"}
)

func (p property) opt() property                    { p.optional = true; return p }
func (p property) atLeast(n float64) property       { p.min = &n; return p }
func (p property) atMost(n float64) property        { p.max = &n; return p }
func (p property) upTo(n int) property              { p.maxLength = n; return p }
func (p property) of(values ...string) property     { p.enum = values; return p }
func (p property) as(f func(string) error) property { p.format = f; return p }
func (p property) with(keys schema) property        { p.keys = keys; return p }
func (p property) needs(other string) property      { p.requires = other; return p }
func (p property) family(n int) property            { p.members = n; return p }
func (p property) byDefault() property              { p.isDefault = true; return p }
func (p property) like(re string) property {
	p.pattern = regexp.MustCompile(`^(?:` + re + `)$`)
	return p
}

// lookup finds the property of a parameter name.
func (s schema) lookup(name string) (property, bool) {
	p, ok := s[name]
	if !ok {
		base := strings.TrimRight(name, "0123456789")
		n, err := strconv.Atoi(name[len(base):])
		p, ok = s[base+"[n]"]
		ok = ok && err == nil && n < p.members && strconv.Itoa(n) == name[len(base):]
	}
	return p, ok && !strings.HasSuffix(name, "[n]")
}

const unknownProperty = "property is not defined in schema and the schema does not allow additional properties"

// verify returns what is wrong with each parameter; nested holds the kind of
// those that are no plain value.
func (s schema) verify(params, nested map[string]string) map[string]string {
	errs := map[string]string{}
	for name, p := range s {
		if _, given := params[name]; !given && nested[name] == "" && !p.optional && p.members == 0 {
			errs[name] = "property is missing and it is not optional"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		s.verifyOne(name, params, nested[name], errs)
	}
	return errs
}

func (s schema) verifyOne(name string, params map[string]string, nested string, errs map[string]string) {
	p, ok := s.lookup(name)
	if !ok {
		errs[name] = unknownProperty
		return
	}
	if _, given := params[p.requires]; p.requires != "" && !given {
		errs[p.requires] = fmt.Sprintf("missing property required by '%s'", name)
	}
	if nested != "" && !(nested == jsonBool && p.kind == "boolean") {
		errs[name] = fmt.Sprintf("type check ('%s') failed - got %s", p.kind, nested)
		return
	}
	if err := p.check(name, params[name]); err != nil {
		errs[name] = err.Error()
	}
}

var (
	isInteger = regexp.MustCompile(`^[+-]?\d+$`)
	isNumber  = regexp.MustCompile(`^[+-]?(\d+\.\d+|\d+\.|\.\d+|\d+)([eE][+-]?\d+)?$`)
)

// check says what is wrong with a value, in the real server's words.
func (p property) check(name, value string) error {
	if !p.hasKind(value) {
		return fmt.Errorf("type check ('%s') failed - got '%s'", p.kind, value)
	}
	if err := p.checkFormat(name, value); err != nil {
		return fmt.Errorf("invalid format - %w", err)
	}
	if p.pattern != nil && !p.pattern.MatchString(value) {
		return fmt.Errorf("value does not match the regex pattern")
	}
	if p.maxLength > 0 && len([]rune(value)) > p.maxLength {
		return fmt.Errorf("value may only be %d characters long", p.maxLength)
	}
	if err := p.checkRange(value); err != nil {
		return err
	}
	if p.enum != nil && !slices.Contains(p.enum, value) {
		return fmt.Errorf("value '%s' does not have a value in the enumeration '%s'", value, strings.Join(p.enum, ", "))
	}
	return nil
}

func (p property) hasKind(value string) bool {
	switch p.kind {
	case "boolean":
		return value == "0" || value == "1"
	case "integer":
		return isInteger.MatchString(value)
	case "number":
		return isNumber.MatchString(value)
	}
	return true
}

func (p property) checkFormat(name, value string) error {
	if p.keys != nil {
		_, err := p.keys.parse(name, value)
		return err
	}
	if p.format != nil {
		return p.format(value)
	}
	return nil
}

func (p property) checkRange(value string) error {
	if !isNumber.MatchString(value) {
		return nil
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return nil // out of float64's range on either side; real servers see infinity
	}
	if p.max != nil && v > *p.max {
		return fmt.Errorf("value must have a maximum value of %v", *p.max)
	}
	if p.min != nil && v < *p.min {
		return fmt.Errorf("value must have a minimum value of %v", *p.min)
	}
	return nil
}
