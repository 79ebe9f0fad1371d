// Package all lists the installers there are. A new one is a line in the list.
package all

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/installer/assisted"
)

// Lookup reads an environment variable, as os.LookupEnv does.
type Lookup func(variable string) (value string, ok bool)

// An opener has decoded an installer block and can open the engine.
type opener func(pace.Pace) (installer.Installer, error)

// types is the list.
var types = []struct {
	name   string
	decode func(hcl.Body, *hcl.EvalContext, Lookup) (opener, hcl.Diagnostics)
}{
	{"assisted", decodeAssisted},
}

func decodeAssisted(body hcl.Body, ctx *hcl.EvalContext, lookup Lookup) (opener, hcl.Diagnostics) {
	cfg, diags := assisted.Decode(body, ctx, lookup)
	return func(p pace.Pace) (installer.Installer, error) {
		return assisted.Open(cfg, assisted.Options{Pace: p})
	}, diags
}

// Types names the types of installer blocks.
func Types() []string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.name
	}
	return names
}

// Validate decodes the body of an installer block and forgets it. It contacts
// nobody and reads no environment.
func Validate(name string, body hcl.Body, ctx *hcl.EvalContext) hcl.Diagnostics {
	_, diags := decode(name, body, ctx, func(string) (string, bool) { return "", false })
	return diags
}

// Open decodes the body of an installer block and opens the engine. lookup
// stands for the environment. Nobody is contacted yet.
func Open(name string, body hcl.Body, ctx *hcl.EvalContext, lookup Lookup, p pace.Pace) (installer.Installer, hcl.Diagnostics) {
	open, diags := decode(name, body, ctx, lookup)
	if diags.HasErrors() {
		return nil, diags
	}
	opened, err := open(p)
	if err != nil {
		return nil, append(diags, cannotOpen(name, body, err))
	}
	return opened, diags
}

func cannotOpen(name string, body hcl.Body, err error) *hcl.Diagnostic {
	detail := err.Error()
	if advice := hint.Of(err); advice != "" {
		detail += "; " + advice
	}
	return &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  "Installer cannot be used",
		Detail:   fmt.Sprintf("Installer %s: %s.", name, detail),
		Subject:  body.MissingItemRange().Ptr(),
	}
}

func decode(name string, body hcl.Body, ctx *hcl.EvalContext, lookup Lookup) (opener, hcl.Diagnostics) {
	for _, t := range types {
		if t.name == name {
			return t.decode(body, ctx, lookup)
		}
	}
	return nil, hcl.Diagnostics{{
		Severity: hcl.DiagError,
		Summary:  "Unknown installer",
		Detail:   fmt.Sprintf("There is no installer %q. Write one of: %s.", name, strings.Join(slices.Sorted(slices.Values(Types())), ", ")),
		Subject:  body.MissingItemRange().Ptr(),
	}}
}
