package install

import (
	_ "embed"
	"strings"
	"text/template"
)

//go:embed unit.tmpl
var unitText string

var unitTemplate = template.Must(template.New("unit").Parse(unitText))

// unit is the systemd unit of a cluster's services.
func unit(owner string) (string, error) {
	l := LayoutOf(owner)
	var b strings.Builder
	err := unitTemplate.Execute(&b, map[string]string{
		"Owner": owner, "Program": l.Program(), "Document": l.Document(),
		"RunDir": l.RunDir(), "Runtime": strings.TrimPrefix(l.RunDir(), "/run/"),
	})
	return b.String(), err
}
