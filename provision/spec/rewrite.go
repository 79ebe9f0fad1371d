package spec

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Rewrite returns text in the canonical format: two spaces for each block,
// equals signs and comments of neighbouring lines aligned. It only moves
// white space, of text with syntax errors not even that. name is for the
// diagnostics, and files for printing them.
func Rewrite(name string, text []byte) (formatted []byte, diags hcl.Diagnostics, files map[string]*hcl.File) {
	if strings.HasSuffix(name, ".json") {
		return text, nil, nil
	}
	file, diags := parseText(name, text)
	files = map[string]*hcl.File{name: file}
	if diags.HasErrors() {
		return text, Tidy(diags), files
	}
	return hclwrite.Format(text), nil, files
}
