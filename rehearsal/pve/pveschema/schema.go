package pveschema

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// A Schema is the description of one release of the API.
type Schema struct{ methods []*Method }

// A Method is one HTTP method of one path.
type Method struct {
	Verb       string // "POST"
	Path       string // "/nodes/{node}/qemu"
	Parameters map[string]*Parameter
}

// A Parameter is a parameter of a method or a key of a property string.
type Parameter struct {
	Type       string                // "string", "integer", "number", "boolean"
	Optional   bool                  //
	Min, Max   *float64              //
	MaxLength  int                   // 0: any
	Enum       []string              //
	Pattern    *regexp.Regexp        // nil: none, or one that Go cannot express
	Format     string                // a named format; see Known
	Keys       map[string]*Parameter // of a property string, else nil
	Requires   string                // parameter that must be given too
	Alias      string                // the key this one is another name of
	KeyAlias   string                // the key that takes this one's name as value
	DefaultKey bool                  // key of a value without key
}

// Load reads a schema file: a JSON array of paths with their methods.
func Load(path string) (*Schema, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var raw []struct {
		Path    string
		Methods map[string]struct {
			Parameters struct{ Properties map[string]rawParameter }
		}
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("read schema %s: %w", path, err)
	}
	s := &Schema{}
	for _, p := range raw {
		for verb, m := range p.Methods {
			s.methods = append(s.methods, &Method{verb, p.Path, parameters(m.Parameters.Properties)})
		}
	}
	return s, nil
}

type rawParameter struct {
	Type       string          `json:"type"`
	Optional   loose           `json:"optional"`
	Minimum    loose           `json:"minimum"`
	Maximum    loose           `json:"maximum"`
	MaxLength  loose           `json:"maxLength"`
	Enum       []*string       `json:"enum"`
	Pattern    string          `json:"pattern"`
	Format     json.RawMessage `json:"format"`
	Requires   string          `json:"requires"`
	Alias      string          `json:"alias"`
	KeyAlias   string          `json:"keyAlias"`
	DefaultKey loose           `json:"default_key"`
}

// loose is a number or boolean that may be written as a string.
type loose struct{ value *float64 }

func (l *loose) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	switch text {
	case "true":
		text = "1"
	case "false", "null":
		text = "0"
	}
	v, err := strconv.ParseFloat(text, 64)
	l.value = &v
	return err
}

func (l loose) set() bool { return l.value != nil && *l.value != 0 }

func parameters(raw map[string]rawParameter) map[string]*Parameter {
	all := map[string]*Parameter{}
	for name, r := range raw {
		all[name] = r.parameter()
	}
	return all
}

func (r rawParameter) parameter() *Parameter {
	p := &Parameter{Type: r.Type, Optional: r.Optional.set(), Min: r.Minimum.value, Max: r.Maximum.value,
		Requires: r.Requires, Alias: r.Alias, KeyAlias: r.KeyAlias, DefaultKey: r.DefaultKey.set(), Pattern: translate(r.Pattern)}
	if r.MaxLength.value != nil {
		p.MaxLength = int(*r.MaxLength.value)
	}
	for _, v := range r.Enum {
		if v != nil {
			p.Enum = append(p.Enum, *v)
		}
	}
	var keys map[string]rawParameter
	if json.Unmarshal(r.Format, &p.Format) != nil && json.Unmarshal(r.Format, &keys) == nil {
		p.Keys = parameters(keys)
	}
	return p
}

var perl = strings.NewReplacer("(?^:", "(?:", "(?^i:", "(?i:", "{,", "{0,")

// translate turns a Perl pattern into an anchored one of Go; nil when there
// is none or Go has nothing like it.
func translate(pattern string) *regexp.Regexp {
	if pattern == "" {
		return nil
	}
	re, err := regexp.Compile(`^(?:` + perl.Replace(pattern) + `)$`)
	if err != nil {
		return nil
	}
	return re
}

// Find returns the method for a path, which may be a template or a real one
// ("/nodes/pve/qemu/100"); the map holds the parameters in the latter. It
// returns nil when there is no such method.
func (s *Schema) Find(verb, path string) (*Method, map[string]string) {
	var found *Method
	var params map[string]string
	for _, m := range s.methods {
		if in, ok := m.match(path); ok && m.Verb == verb && (found == nil || len(in) < len(params)) {
			found, params = m, in // fixed parts win over parameters
		}
	}
	return found, params
}

func (m *Method) match(path string) (map[string]string, bool) {
	want := strings.Split(strings.Trim(m.Path, "/"), "/")
	have := strings.Split(strings.Trim(path, "/"), "/")
	if last := len(want) - 1; want[last] == "{volume}" && len(have) > last {
		have = append(have[:last:last], strings.Join(have[last:], "/"))
	}
	if len(want) != len(have) {
		return nil, false
	}
	params := map[string]string{}
	for i, part := range want {
		switch {
		case part == have[i]:
		case strings.HasPrefix(part, "{"):
			params[strings.Trim(part, "{}")] = have[i]
		default:
			return nil, false
		}
	}
	return params, true
}

// Lookup finds the parameter of a name, which may be a member of a numbered
// family ("net0" of "net[n]"); nil when there is none.
func (m *Method) Lookup(name string) *Parameter {
	if p := m.Parameters[name]; p != nil && !strings.HasSuffix(name, "[n]") {
		return p
	}
	family := strings.TrimRight(name, "0123456789")
	n, err := strconv.Atoi(name[len(family):])
	if err != nil || n >= familySize[family] {
		return nil
	}
	return m.Parameters[family+"[n]"]
}

// familySize says how many members a numbered family has; the schema does not.
var familySize = map[string]int{"scsi": 31, "net": 32, "ide": 4, "sata": 6, "virtio": 16, "serial": 4,
	"numa": 8, "usb": 14, "hostpci": 16, "parallel": 3, "unused": 256, "ipconfig": 32, "virtiofs": 10}
