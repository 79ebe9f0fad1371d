package view

import (
	"bufio"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/event"
)

// A documented kind of event has fields; those marked with ? may be missing.
type documented struct{ always, sometimes []string }

// The tables of docs/events.md are the schema of the stream: they name the
// kinds and fields that there are, and no others.
func TestEventsAreDocumented(t *testing.T) {
	kinds, fields := readSchema(t)
	if diff := cmp.Diff(declaredKinds(t), slices.Sorted(maps.Keys(kinds))); diff != "" {
		t.Errorf("kinds (-code +docs/events.md):\n%s", diff)
	}
	if diff := cmp.Diff(declaredFields(), fields); diff != "" {
		t.Errorf("fields and their types (-code +docs/events.md):\n%s", diff)
	}
	for kind, d := range kinds {
		for _, name := range slices.Concat(d.always, d.sometimes) {
			if fields[name] == "" {
				t.Errorf("kind %s has the field %s, which the second table does not have", kind, name)
			}
		}
	}
}

func TestStreamIsAsDocumented(t *testing.T) {
	kinds, fields := readSchema(t)
	lines := bufio.NewScanner(strings.NewReader(tell(t, Options{Mode: "json"})))
	for lines.Scan(); lines.Scan(); {
		var e map[string]any
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		kind, _ := e["kind"].(string)
		d := kinds[kind]
		for _, name := range slices.Concat(d.always, []string{"time", "kind"}) {
			if _, ok := e[name]; !ok {
				t.Errorf("%s has no field %s", lines.Text(), name)
			}
		}
		for name, value := range e {
			if !slices.Contains(slices.Concat(d.always, d.sometimes, []string{"time", "kind", "cluster"}), name) {
				t.Errorf("%s has the field %s, which its kind has not", lines.Text(), name)
			}
			if got := typeOf(reflect.TypeOf(value)); got != fields[name] && (got != "number" || fields[name] != "integer") {
				t.Errorf("%s: %s is a %s, not a %s", lines.Text(), name, got, fields[name])
			}
		}
	}
}

var (
	tableRow = regexp.MustCompile(`(?m)^\| (.*?) \| (.*?) \| (.*?) \|$`)
	codeSpan = regexp.MustCompile("`([a-z.]+)`(\\??)")
)

func readSchema(t *testing.T) (kinds map[string]documented, fields map[string]string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, stream, _ := strings.Cut(string(page), "## The stream")
	kindTable, fieldTable, _ := strings.Cut(stream, "| field | type | what |")
	kinds, fields = map[string]documented{}, map[string]string{}
	for _, row := range tableRow.FindAllStringSubmatch(kindTable, -1) {
		if kind := codeSpan.FindStringSubmatch(row[1]); kind != nil {
			kinds[kind[1]] = readFields(row[2])
		}
	}
	for _, row := range tableRow.FindAllStringSubmatch(fieldTable, -1) {
		for _, name := range codeSpan.FindAllStringSubmatch(row[1], -1) {
			fields[name[1]] = row[2]
		}
	}
	return kinds, fields
}

func readFields(cell string) (d documented) {
	for _, name := range codeSpan.FindAllStringSubmatch(cell, -1) {
		if name[2] == "?" {
			d.sometimes = append(d.sometimes, name[1])
		} else {
			d.always = append(d.always, name[1])
		}
	}
	return d
}

// declaredKinds are the constants of type event.Kind.
func declaredKinds(t *testing.T) (kinds []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../provision/event/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if c, ok := n.(*ast.ValueSpec); ok {
			if kind, ok := c.Type.(*ast.Ident); ok && kind.Name == "Kind" {
				text, err := strconv.Unquote(c.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				kinds = append(kinds, text)
			}
		}
		return true
	})
	slices.Sort(kinds)
	return kinds
}

func declaredFields() map[string]string {
	fields := map[string]string{}
	for f := range reflect.TypeFor[event.Event]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = typeOf(f.Type)
	}
	return fields
}

// typeOf is what JSON calls the type.
func typeOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int:
		return "integer"
	case reflect.Float64:
		return "number"
	}
	return "string" // time.Time, too
}
