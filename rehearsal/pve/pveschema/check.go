package pveschema

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Check returns what the schema has against a request, one line each, in
// order; nothing when it is sound. The parameters of a real path are checked
// along with params; those of a template must be among params.
func (s *Schema) Check(verb, path string, params map[string]string) []string {
	m, inPath := s.Find(verb, path)
	if m == nil {
		return []string{fmt.Sprintf("no method %s %s", verb, path)}
	}
	all := maps.Clone(inPath)
	maps.Copy(all, params)
	var wrong []string
	for name, p := range m.Parameters {
		if _, given := all[name]; !given && !p.Optional && !strings.HasSuffix(name, "[n]") {
			wrong = append(wrong, name+": missing")
		}
	}
	for name, value := range all {
		wrong = append(wrong, m.checkOne(name, value, all)...)
	}
	slices.Sort(wrong)
	return wrong
}

func (m *Method) checkOne(name, value string, all map[string]string) (wrong []string) {
	p := m.Lookup(name)
	if p == nil {
		return []string{name + ": no such parameter"}
	}
	if _, given := all[p.Requires]; p.Requires != "" && !given {
		wrong = append(wrong, name+": needs "+p.Requires)
	}
	if err := p.Check(value); err != nil {
		wrong = append(wrong, fmt.Sprintf("%s: %v", name, err))
	}
	return wrong
}

var types = map[string]*regexp.Regexp{
	"boolean": regexp.MustCompile(`^[01]$`),
	"integer": regexp.MustCompile(`^[+-]?\d+$`),
	"number":  regexp.MustCompile(`^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$`),
}

// Check says why value is not one of p's, or nil.
func (p *Parameter) Check(value string) error {
	if re := types[p.Type]; re != nil && !re.MatchString(value) {
		return fmt.Errorf("%q is no %s", value, p.Type)
	}
	if p.Pattern != nil && !p.Pattern.MatchString(value) {
		return fmt.Errorf("%q does not match %s", value, p.Pattern)
	}
	if p.MaxLength > 0 && len([]rune(value)) > p.MaxLength {
		return fmt.Errorf("longer than %d", p.MaxLength)
	}
	if p.Enum != nil && !slices.Contains(p.Enum, value) {
		return fmt.Errorf("%q is none of %q", value, p.Enum)
	}
	if err := p.checkRange(value); err != nil {
		return err
	}
	return p.checkFormat(value)
}

func (p *Parameter) checkRange(value string) error {
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || !types["number"].MatchString(value) {
		return nil
	}
	if p.Min != nil && v < *p.Min || p.Max != nil && v > *p.Max {
		return fmt.Errorf("%s is out of range", value)
	}
	return nil
}

func (p *Parameter) checkFormat(value string) error {
	if p.Keys != nil {
		return checkProperties(p.Keys, value)
	}
	name, list := strings.CutSuffix(p.Format, "-list")
	re := formats[name]
	if re == nil {
		return nil // not expanded in the schema
	}
	parts := []string{value}
	if list {
		parts = strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(",; \t\r\n\x00", r) })
	}
	for _, part := range parts {
		if !re.MatchString(part) {
			return fmt.Errorf("%q is no %s", part, name)
		}
	}
	return nil
}

// Known says whether the values of p are checked in full: false when it has a
// format that the schema only names and this package does not know.
func (p *Parameter) Known() bool {
	if p.Format == "" {
		return true
	}
	return formats[strings.TrimSuffix(p.Format, "-list")] != nil
}

func whole(re string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + re + `)$`) }

// formats are the named ones that matter here.
var formats = map[string]*regexp.Regexp{
	"pve-vmid":             whole(`[1-9][0-9]{2,8}`),
	"pve-node":             whole(`[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?`),
	"pve-storage-id":       whole(`(?i)[a-z][a-z0-9\-_.]*[a-z0-9]`),
	"pve-bridge-id":        whole(`[-_.\w\d]+`),
	"dns-name":             whole(`(?:[a-zA-Z0-9](?:[a-zA-Z0-9\-]*[a-zA-Z0-9])?\.)*[a-zA-Z0-9](?:[a-zA-Z0-9\-]*[a-zA-Z0-9])?`),
	"pve-tag":              whole(`(?i)[a-z0-9_][a-z0-9_\-+.]*`),
	"pve-poolid":           whole(`[A-Za-z0-9.\-_]+(?:/[A-Za-z0-9.\-_]+){0,2}`),
	"mac-addr":             whole(`(?i)[a-f0-9][02468ace](?::[a-f0-9]{2}){5}`),
	"pve-configid":         whole(`(?i)[a-z][a-z0-9_-]+`),
	"disk-size":            whole(`\d+(?:\.\d+)?[KMGT]?`),
	"urlencoded":           whole(`[-%a-zA-Z0-9_.!~*'()]*`),
	"pve-storage-content":  whole(`images|rootdir|vztmpl|iso|backup|snippets|import|none`),
	"pve-task-status-type": whole(`ok|error|warning|unknown`),
}

// checkProperties checks a property string: comma-separated key=value pairs,
// one of which may lack its key.
func checkProperties(keys map[string]*Parameter, value string) error {
	given := map[string]string{}
	for part := range strings.SplitSeq(value, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		if err := takeProperty(keys, part, given); err != nil {
			return err
		}
	}
	for name, p := range keys {
		if _, ok := given[name]; !ok && !p.Optional && p.Alias == "" {
			return fmt.Errorf("key %s is missing", name)
		}
	}
	for name, v := range given {
		if err := keys[name].Check(v); err != nil {
			return fmt.Errorf("key %s: %w", name, err)
		}
	}
	return nil
}

func takeProperty(keys map[string]*Parameter, part string, given map[string]string) error {
	name, value, keyed := strings.Cut(part, "=")
	if !keyed {
		name, value = defaultKey(keys), part
	}
	p := keys[name]
	if p == nil || value == "" {
		return fmt.Errorf("key %q is unknown, or its value empty", name)
	}
	if p.KeyAlias != "" {
		if _, twice := given[p.KeyAlias]; twice {
			return fmt.Errorf("key %s is given twice", p.KeyAlias)
		}
		given[p.KeyAlias] = name
	}
	if p.Alias != "" {
		name, p = p.Alias, keys[p.Alias]
	}
	if _, twice := given[name]; twice {
		return fmt.Errorf("key %s is given twice", name)
	}
	given[name] = p.boolean(value)
	return nil
}

func defaultKey(keys map[string]*Parameter) string {
	for name, p := range keys {
		if p.DefaultKey {
			return name
		}
	}
	return ""
}

// boolean reads the words that property strings allow for booleans.
func (p *Parameter) boolean(value string) string {
	if p.Type == "boolean" {
		switch strings.ToLower(value) {
		case "on", "yes", "true":
			return "1"
		case "off", "no", "false":
			return "0"
		}
	}
	return value
}
