package main

import (
	"fmt"
	"slices"
	"strings"
)

// form refuses a form of the answer (-o) that is none of those of the verb.
func (a *app) form(forms ...string) error {
	if slices.Contains(forms, a.output) {
		return nil
	}
	return usage(fmt.Errorf("output %q is none of %s", a.output, strings.Join(forms, ", ")))
}
