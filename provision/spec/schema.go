package spec

import "maps"

// Schema is the JSON Schema (2020-12) of a spec in JSON, ready to be encoded.
// Where HCL has an expression, JSON has a string with ${...} in it.
func Schema() map[string]any {
	d := definitions{}
	schema := d.object("", Block{Blocks: Description()})
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "slipway cluster spec"
	schema["$defs"] = d
	return schema
}

// definitions are the schemas of the bodies of blocks, by their path.
type definitions map[string]any

// object is the schema of the body of a block.
func (d definitions) object(path string, b Block) map[string]any {
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
	for name, types := range byName(b.Blocks) {
		properties[name] = d.block(path+name, types)
	}
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		schema["required"] = required
	}
	return schema
}

// byName groups the types of blocks of one name.
func byName(blocks []Block) map[string][]Block {
	named := map[string][]Block{}
	for _, b := range blocks {
		named[b.Name] = append(named[b.Name], b)
	}
	return named
}

// block is the schema of what stands behind the name of a block.
func (d definitions) block(path string, types []Block) map[string]any {
	if types[0].Type == "" {
		return d.labelled(path, types[0])
	}
	properties := map[string]any{}
	for _, b := range types {
		properties[b.Type] = d.labelled(path+"."+b.Type, b)
	}
	return oneOrMany(map[string]any{"type": "object", "properties": properties, "additionalProperties": false})
}

// labelled is a body below its labels, and at each level one or a list.
func (d definitions) labelled(path string, b Block) map[string]any {
	d[path] = d.object(path+".", b)
	schema := oneOrMany(map[string]any{"$ref": "#/$defs/" + path})
	for range b.Labels {
		schema = oneOrMany(map[string]any{"type": "object", "additionalProperties": schema})
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
	schema := maps.Clone(kinds[a.Kind])
	if a.Words != nil {
		schema = map[string]any{"anyOf": []any{map[string]any{"enum": a.Words}, expression}}
	}
	schema["description"] = a.Rule + ". Default: " + a.Default + "."
	if a.Default == Required {
		schema["description"] = a.Rule + "."
	}
	return schema
}
