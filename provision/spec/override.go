package spec

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// An overridden body is a block of the spec together with the block of the
// same type and labels in the override file, whose attributes win. Whoever
// decodes it, a provider for one, sees a single body.
type overridden struct{ base, over hcl.Body }

func (o overridden) Content(schema *hcl.BodySchema) (*hcl.BodyContent, hcl.Diagnostics) {
	base, diags := o.base.Content(relaxed(schema))
	over, more := o.over.Content(relaxed(schema))
	return o.merge(schema, base, over, append(diags, more...))
}

func (o overridden) PartialContent(schema *hcl.BodySchema) (*hcl.BodyContent, hcl.Body, hcl.Diagnostics) {
	base, baseRest, diags := o.base.PartialContent(relaxed(schema))
	over, overRest, more := o.over.PartialContent(relaxed(schema))
	content, diags := o.merge(schema, base, over, append(diags, more...))
	return content, overridden{baseRest, overRest}, diags
}

func (o overridden) JustAttributes() (hcl.Attributes, hcl.Diagnostics) {
	base, diags := o.base.JustAttributes()
	over, more := o.over.JustAttributes()
	return mergeAttributes(base, over), append(diags, more...)
}

func (o overridden) MissingItemRange() hcl.Range { return o.base.MissingItemRange() }

func (o overridden) merge(schema *hcl.BodySchema, base, over *hcl.BodyContent, diags hcl.Diagnostics) (*hcl.BodyContent, hcl.Diagnostics) {
	blocks, added := mergeBlocks(base.Blocks, over.Blocks)
	merged := &hcl.BodyContent{
		Attributes:       mergeAttributes(base.Attributes, over.Attributes),
		Blocks:           append(blocks, added...),
		MissingItemRange: base.MissingItemRange,
	}
	for _, a := range schema.Attributes {
		if a.Required && merged.Attributes[a.Name] == nil {
			diags = append(diags, problem(o.MissingItemRange(), "Missing required argument",
				"The argument %q is required, but no definition was found.", a.Name))
		}
	}
	return merged, diags
}

// relaxed is schema without required attributes: the other body may have them.
func relaxed(schema *hcl.BodySchema) *hcl.BodySchema {
	attributes := slices.Clone(schema.Attributes)
	for i := range attributes {
		attributes[i].Required = false
	}
	return &hcl.BodySchema{Attributes: attributes, Blocks: schema.Blocks}
}

func mergeAttributes(base, over hcl.Attributes) hcl.Attributes {
	merged := hcl.Attributes{}
	for name, a := range base {
		merged[name] = a
	}
	for name, a := range over {
		merged[name] = a
	}
	return merged
}

// mergeBlocks joins each block of over with those of base that it names, and
// returns the rest of over as added.
func mergeBlocks(base, over hcl.Blocks) (merged, added hcl.Blocks) {
	merged = slices.Clone(base)
	for _, o := range over {
		met := false
		for i, b := range merged {
			if sameBlock(b, o) {
				joined := *b
				joined.Body = overridden{b.Body, o.Body}
				merged[i], met = &joined, true
			}
		}
		if !met {
			added = append(added, o)
		}
	}
	return merged, added
}

func sameBlock(a, b *hcl.Block) bool { return a.Type == b.Type && slices.Equal(a.Labels, b.Labels) }
