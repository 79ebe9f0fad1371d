package spec

import (
	"regexp"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

const maxSize = 1 << 30 // MiB or GiB: far more than there is, far less than an int

var sizeText = regexp.MustCompile(`^([0-9]{1,9}) ?(MiB|GiB|TiB)$`)

var inMiB = map[string]int{"MiB": 1, "GiB": 1 << 10, "TiB": 1 << 20}

// size reads a number of unit (MiB or GiB), or a string that names its unit.
func (l *loader) size(a *hcl.Attribute, unit, example string) (int, bool) {
	v, ok := l.value(a)
	switch {
	case !ok:
		return 0, false
	case v.Type() == cty.Number:
		return l.integer(a, 1, maxSize, example)
	case v.Type() != cty.String:
		l.wrongType(a.Expr.Range(), a.Name, v, "a number of "+unit+" or a string with its unit", assign(a, example))
		return 0, false
	}
	n, ok := parseSize(v.AsString(), unit)
	if !ok {
		l.errorf(a.Expr.Range(), "Invalid size", "%q is not a size in whole %s. Write a number of %s, or MiB, GiB or TiB behind it, such as %s.", v.AsString(), unit, unit, assign(a, example))
	}
	return n, ok
}

func parseSize(text, unit string) (int, bool) {
	parts := sizeText.FindStringSubmatch(text)
	if parts == nil {
		return 0, false
	}
	n, err := strconv.Atoi(parts[1])
	mib := n * inMiB[parts[2]]
	size := mib / inMiB[unit]
	return size, err == nil && mib%inMiB[unit] == 0 && size > 0 && size <= maxSize
}
