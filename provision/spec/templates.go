package spec

import (
	"embed"
	"slices"
)

//go:embed templates/*.hcl
var templateFiles embed.FS

// Templates names the specs to start from, the usual one first.
func Templates() []string { return []string{"ha", "compact", "sno", "dhcp"} }

// Template returns the text of a commented spec to start from; ok is false
// when there is none of that name. All that it has is valid, and the values
// marked with "yours" are to be replaced.
func Template(name string) (text []byte, ok bool) {
	if !slices.Contains(Templates(), name) {
		return nil, false
	}
	text, err := templateFiles.ReadFile("templates/" + name + ".hcl")
	return text, err == nil
}
