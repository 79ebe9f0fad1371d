// Package all is the visible list of the installers.
package all

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/installer/assisted"
)

// Lookup finds environment variables: os.LookupEnv.
type Lookup func(variable string) (value string, ok bool)

type opener func(pace.Pace) (installer.Installer, error)

var types = []struct {
	name   string
	decode func(hcl.Body, *hcl.EvalContext, Lookup) (opener, hcl.Diagnostics)
}{
	{"assisted", decodeAssisted},
}

func decodeAssisted(body hcl.Body, ctx *hcl.EvalContext, lookup Lookup) (opener, hcl.Diagnostics) {
	config, diags := assisted.Decode(body, ctx, lookup)
	return func(p pace.Pace) (installer.Installer, error) {
		return assisted.Open(config, assisted.Options{Pace: p})
	}, diags
}

// Types lists the names of the installers, for validation and suggestions.
func Types() []string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.name
	}
	return names
}

// Open decodes the body of an installer block and opens the engine. Nothing
// is contacted and no secret is read.
func Open(name string, body hcl.Body, ctx *hcl.EvalContext, lookup Lookup, p pace.Pace) (installer.Installer, hcl.Diagnostics) {
	open, diags := decode(name, body, ctx, lookup)
	if diags.HasErrors() {
		return nil, diags
	}
	engine, err := open(p)
	if err != nil {
		return nil, append(diags, problem("Installer cannot be used", fmt.Sprintf("Installer %s: %v.", name, err), body))
	}
	return engine, diags
}

func decode(name string, body hcl.Body, ctx *hcl.EvalContext, lookup Lookup) (opener, hcl.Diagnostics) {
	for _, t := range types {
		if t.name == name {
			return t.decode(body, ctx, lookup)
		}
	}
	detail := fmt.Sprintf("There is no installer %q. Write one of: %s.", name, strings.Join(Types(), ", "))
	return nil, hcl.Diagnostics{problem("Unknown installer", detail, body)}
}

func problem(summary, detail string, body hcl.Body) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: body.MissingItemRange().Ptr()}
}
