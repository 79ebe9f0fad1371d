package pve

//lint:file-ignore ST1005 these are the real server's words, newlines and all

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// parse reads a property string ("virtio=MAC,bridge=vmbr0") into its keys,
// with aliases resolved; path names the parameter in errors.
func (s schema) parse(path, value string) (map[string]string, error) {
	res := map[string]string{}
	for part := range strings.SplitSeq(value, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		if err := s.parsePart(part, res); err != nil {
			return nil, err
		}
	}
	errs := s.verify(res, nil)
	if len(errs) == 0 {
		return res, nil
	}
	lines := "format error\n"
	for _, key := range slices.Sorted(maps.Keys(errs)) {
		lines += fmt.Sprintf("%s.%s: %s\n", path, key, errs[key])
	}
	return nil, fmt.Errorf("%s", lines)
}

func (s schema) parsePart(part string, res map[string]string) error {
	key, value, keyed := strings.Cut(part, "=")
	switch {
	case !keyed:
		return s.parseDefault(part, res)
	case key == "" || value == "":
		return fmt.Errorf("missing key in comma-separated list property\n")
	}
	if _, dup := res[key]; dup {
		return duplicateKey(key)
	}
	key, err := s.resolve(key, res)
	if err != nil {
		return err
	}
	res[key] = s[key].canonical(value)
	return nil
}

// resolve turns an alias into the key it stands for.
func (s schema) resolve(key string, res map[string]string) (string, error) {
	p, ok := s[key]
	if !ok {
		return "", fmt.Errorf("invalid key in comma-separated list property: %s\n", key)
	}
	if p.alias == "" {
		return key, nil
	}
	if p.keyAlias != "" {
		if _, dup := res[p.keyAlias]; dup {
			return "", fmt.Errorf("key alias '%s' is already defined\n", p.keyAlias)
		}
		res[p.keyAlias] = key
	}
	if _, dup := res[p.alias]; dup {
		return "", fmt.Errorf("key '%s' is already defined (via alias)\n", p.alias)
	}
	return p.alias, nil
}

func (s schema) parseDefault(value string, res map[string]string) error {
	key := s.defaultKey()
	if key == "" {
		return fmt.Errorf("value without key, but schema does not define a default key\n")
	}
	if _, dup := res[key]; dup {
		return duplicateKey(key)
	}
	res[key] = s[key].canonical(value)
	return nil
}

func duplicateKey(key string) error {
	return fmt.Errorf("duplicate key in comma-separated list property: %s\n", key)
}

func (s schema) defaultKey() string {
	for key, p := range s {
		if p.isDefault {
			return key
		}
	}
	return ""
}

// canonical turns the words for booleans that property strings allow into 1
// and 0.
func (p property) canonical(value string) string {
	if p.kind != "boolean" {
		return value
	}
	switch strings.ToLower(value) {
	case "1", "on", "yes", "true":
		return "1"
	case "0", "off", "no", "false":
		return "0"
	}
	return value
}

// print is the inverse of parse: the default key first, required keys, then
// the others in order; a key with a name of its own ("virtio=MAC") joined.
func (s schema) print(values map[string]string) string {
	def := s.defaultKey()
	joined := map[string]string{} // key -> key whose value is joined to it
	for _, p := range s {
		if p.keyAlias != "" {
			joined[p.keyAlias] = p.alias
		}
	}
	var out, later []string
	done := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		other, ok := joined[key]
		switch {
		case ok && values[other] != "":
			out, done[other] = append([]string{values[key] + "=" + values[other]}, out...), true
		case key == def:
			out = append([]string{values[key]}, out...)
		default:
			later = append(later, key)
		}
	}
	for _, key := range later {
		if !done[key] {
			out = append(out, key+"="+values[key])
		}
	}
	return strings.Join(out, ",")
}
