// Package all lists every installer that slipway knows.
package all

import (
	"github.com/hashicorp/hcl/v2"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/installer/assisted"
)

// A Kind is one type of installer block.
type Kind struct {
	Name string // the block's first label
	// Decode reads the block's body; lookup is os.LookupEnv. It contacts
	// nobody and reads no secret.
	Decode func(body hcl.Body, ctx *hcl.EvalContext, lookup func(string) (string, bool)) (Opener, hcl.Diagnostics)
}

// An Opener makes the installer that a block describes.
type Opener func(pace.Pace) (installer.Installer, error)

// Kinds are the installers, in the order help lists them.
var Kinds = []Kind{
	{"assisted", decodeAssisted},
}

// Find returns the kind with that name.
func Find(name string) (Kind, bool) {
	for _, k := range Kinds {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

func decodeAssisted(body hcl.Body, ctx *hcl.EvalContext, lookup func(string) (string, bool)) (Opener, hcl.Diagnostics) {
	config, diags := assisted.Decode(body, ctx, lookup)
	return func(p pace.Pace) (installer.Installer, error) {
		return assisted.Open(config, assisted.Options{Pace: p})
	}, diags
}
