package plan

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/provision/spec"
)

// docs/plan.schema.json is what the types say of themselves.
func TestSchema(t *testing.T) {
	s := schemas{comments(t), map[string]any{}}
	root := s.of(reflect.TypeFor[Plan](), "")
	root["$schema"], root["title"] = "https://json-schema.org/draft/2020-12/schema", "A plan of slipway"
	root["$defs"] = s.defs
	root["properties"].(map[string]any)["version"] = map[string]any{"const": Version}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	compareFile(t, "../../docs/plan.schema.json", append(text, '\n'))
}

// The page names every field.
func TestPageNamesEveryField(t *testing.T) {
	page, err := os.ReadFile("../../docs/plan.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []reflect.Type{reflect.TypeFor[Plan](), reflect.TypeFor[Change](), reflect.TypeFor[Node](), reflect.TypeFor[Drift](),
		reflect.TypeFor[Reservation](), reflect.TypeFor[Record](), reflect.TypeFor[Frontend](), reflect.TypeFor[Explanation]()} {
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), "[]."+name+"`") {
				t.Errorf("docs/plan.md does not name %s of %s", name, of.Name())
			}
		}
	}
}

// Every change that is planned can be explained.
func TestEveryActionIsExplained(t *testing.T) {
	for _, a := range Actions {
		for _, k := range Kinds {
			e := (Change{Action: a, Kind: k}).explain()
			impossible := a == Update && k != Services && k != Machine
			if e.Does == "" && !impossible {
				t.Errorf("%s %s: nobody says what it does", a, k)
			}
		}
	}
	c := cluster(3, 2)
	for _, o := range []Observed{{}, whole(c), half(c), drifted(c), strange(c), whole(c).change("worker-0", nil)} {
		for _, e := range Explain(c, Make(c, served(c), o)) {
			if e.Why == "" || e.Does == "" {
				t.Errorf("%s %s: %+v", e.Value, e.Of, e)
			}
		}
	}
}

// schemas gathers the JSON Schemas of types, with the comments of their
// fields as descriptions.
type schemas struct {
	comments map[string]string // by Type.Field
	defs     map[string]any
}

func (s schemas) of(t reflect.Type, comment string) map[string]any {
	schema := map[string]any{}
	if comment != "" {
		schema["description"] = comment
	}
	switch {
	case t == reflect.TypeFor[Action]():
		schema["enum"] = Actions
	case t == reflect.TypeFor[Kind]():
		schema["enum"] = Kinds
	case t == reflect.TypeFor[spec.Role]():
		schema["enum"] = []spec.Role{spec.ControlPlane, spec.Worker, spec.ServicesRole}
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem(), comment)
	case t.Kind() == reflect.Slice:
		schema["type"], schema["items"] = "array", s.ref(t.Elem())
	case t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[Plan]().PkgPath():
		s.object(t, schema)
	default:
		schema["type"] = map[reflect.Kind]string{reflect.Int: "integer", reflect.Bool: "boolean", reflect.String: "string", reflect.Struct: "string"}[t.Kind()]
	}
	return schema
}

// ref is a reference to the schema of a struct, or the schema itself.
func (s schemas) ref(t reflect.Type) map[string]any {
	if t.Kind() != reflect.Struct || s.defs == nil {
		return s.of(t, "")
	}
	if _, known := s.defs[t.Name()]; !known {
		s.defs[t.Name()] = s.of(t, "")
	}
	return map[string]any{"$ref": "#/$defs/" + t.Name()}
}

func (s schemas) object(t reflect.Type, schema map[string]any) {
	properties, required := map[string]any{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		properties[name] = s.of(f.Type, s.comments[t.Name()+"."+f.Name])
		if option == "" {
			required = append(required, name)
		}
	}
	schema["type"], schema["properties"], schema["required"] = "object", properties, required
}

// comments are those at the end of the lines of struct fields.
func comments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		commented(f, found)
	}
	return found
}

func commented(file *ast.File, found map[string]string) {
	ast.Inspect(file, func(n ast.Node) bool {
		declared, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if of, ok := declared.Type.(*ast.StructType); ok {
			for _, f := range of.Fields.List {
				for _, name := range f.Names {
					found[declared.Name.Name+"."+name.Name] = strings.TrimSpace(f.Comment.Text())
				}
			}
		}
		return true
	})
}
