package spec

// Schema is the JSON Schema (2020-12) of a spec in JSON, ready to be encoded.
// Where HCL has an expression, JSON has a string with ${...} in it.
func Schema() map[string]any {
	schema := object(Block{Blocks: Description()})
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "slipway cluster spec"
	return schema
}

// object is the schema of the body of a block.
func object(b Block) map[string]any {
	if b.Free {
		return map[string]any{"type": "object"}
	}
	properties := map[string]any{"//": map[string]any{"description": "A comment."}}
	var required []string
	for _, a := range b.Attributes {
		if a.Refused {
			continue
		}
		properties[a.Name] = a.schema()
		if a.Default == Required {
			required = append(required, a.Name)
		}
	}
	for _, inner := range b.Blocks {
		properties[inner.Name] = inner.schema()
	}
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		schema["required"] = required
	}
	return schema
}

// schema is that of what stands behind the name of a block: a body below its
// labels, and at each level one or a list.
func (b Block) schema() map[string]any {
	schema := oneOrMany(object(b))
	for range b.Labels {
		schema = oneOrMany(map[string]any{"type": "object", "additionalProperties": schema})
	}
	if b.Type != "" {
		schema = oneOrMany(map[string]any{"type": "object", "properties": map[string]any{b.Type: schema}, "additionalProperties": false})
	}
	return schema
}

func oneOrMany(schema map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{schema, map[string]any{"type": "array", "items": schema}}}
}

// expression is a string that is worked out.
var expression = map[string]any{"type": "string", "pattern": `\$\{`}

func ofType(name string) map[string]any { return map[string]any{"type": name} }

// kinds are the schemas of the values of attributes.
var kinds = map[Kind]map[string]any{
	String:   ofType("string"),
	Number:   {"anyOf": []any{ofType("number"), expression}},
	Bool:     {"anyOf": []any{ofType("boolean"), expression}},
	Secret:   expression,
	Strings:  {"anyOf": []any{ofType("string"), map[string]any{"type": "array", "items": ofType("string")}}},
	MiB:      {"type": []string{"number", "string"}},
	GiB:      {"type": []string{"number", "string"}},
	Map:      {"anyOf": []any{map[string]any{"type": "object", "additionalProperties": ofType("string")}, expression}},
	Each:     {"anyOf": []any{ofType("object"), expression}},
	Object:   {"anyOf": []any{ofType("object"), expression}},
	Any:      {},
	TypeExpr: ofType("string"),
}

func (a Attribute) schema() map[string]any {
	schema := map[string]any{}
	for key, value := range kinds[a.Kind] {
		schema[key] = value
	}
	if a.Words != nil {
		schema = map[string]any{"anyOf": []any{map[string]any{"enum": a.Words}, expression}}
	}
	schema["description"] = a.Rule + ". Default: " + a.Default + "."
	if a.Default == Required {
		schema["description"] = a.Rule + "."
	}
	return schema
}
