// Package all lists the providers there are. A new one is a line in the list.
package all

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
	"github.com/slipway-project/slipway/provision/provider/qemu"
)

// Lookup reads an environment variable, as os.LookupEnv does.
type Lookup func(variable string) (value string, ok bool)

// An opener has decoded a provider block and can open the provider.
type opener func(Lookup, pace.Pace) (provider.Provider, error)

// types is the list.
var types = []struct {
	name   string
	decode func(hcl.Body, *hcl.EvalContext) (opener, hcl.Diagnostics)
}{
	{"proxmox", decodeProxmox},
	{"qemu", decodeQEMU},
}

func decodeProxmox(body hcl.Body, ctx *hcl.EvalContext) (opener, hcl.Diagnostics) {
	cfg, diags := proxmox.Decode(body, ctx)
	return func(lookup Lookup, p pace.Pace) (provider.Provider, error) {
		return proxmox.Open(cfg, proxmox.Options{Pace: p, Lookup: lookup})
	}, diags
}

func decodeQEMU(body hcl.Body, ctx *hcl.EvalContext) (opener, hcl.Diagnostics) {
	cfg, diags := qemu.Decode(body, ctx)
	return func(lookup Lookup, _ pace.Pace) (provider.Provider, error) {
		return qemu.Open(cfg, qemu.Options{Lookup: lookup})
	}, diags
}

// Types names the types of provider blocks.
func Types() []string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.name
	}
	return names
}

// Validate decodes the body of a provider block and forgets it. It contacts
// nobody and reads no secret.
func Validate(name string, body hcl.Body, ctx *hcl.EvalContext) hcl.Diagnostics {
	_, diags := decode(name, body, ctx)
	return diags
}

// Open decodes the body of a provider block and opens the provider. lookup
// stands for the environment. Nobody is contacted yet.
func Open(name string, body hcl.Body, ctx *hcl.EvalContext, lookup Lookup, p pace.Pace) (provider.Provider, hcl.Diagnostics) {
	open, diags := decode(name, body, ctx)
	if diags.HasErrors() {
		return nil, diags
	}
	opened, err := open(lookup, p)
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
		Summary:  "Provider cannot be used",
		Detail:   fmt.Sprintf("Provider %s: %s.", name, detail),
		Subject:  body.MissingItemRange().Ptr(),
	}
}

func decode(name string, body hcl.Body, ctx *hcl.EvalContext) (opener, hcl.Diagnostics) {
	for _, t := range types {
		if t.name == name {
			return t.decode(body, ctx)
		}
	}
	return nil, hcl.Diagnostics{{
		Severity: hcl.DiagError,
		Summary:  "Unknown provider",
		Detail:   fmt.Sprintf("There is no provider %q. Write one of: %s.", name, strings.Join(slices.Sorted(slices.Values(Types())), ", ")),
		Subject:  body.MissingItemRange().Ptr(),
	}}
}
