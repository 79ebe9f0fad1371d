package spec

import (
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Syntax of labels: "Labels and Selectors" of the Kubernetes documentation.
var labelText = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)

// What the kubernetes.io names of labels leave to users (NodeRestriction and
// kubelet --node-labels); all others are set by the cluster's own parts.
var (
	openLabels   = []string{"topology.kubernetes.io/region", "topology.kubernetes.io/zone"}
	openPrefixes = []string{"node.kubernetes.io", "kubelet.kubernetes.io"}
)

const labelsExample = `{ "example.net/rack" = "a" }`

// nodeLabels reads the labels of nodes.
func (l *loader) nodeLabels(a *hcl.Attribute) (map[string]string, bool) {
	labels, ok := l.stringMap(a, labelsExample)
	for _, key := range sorted(labels) {
		ok = l.nodeLabel(keyRange(a.Expr, key), key, labels[key]) && ok
	}
	return labels, ok
}

func (l *loader) stringMap(a *hcl.Attribute, example string) (map[string]string, bool) {
	v, ok := l.value(a)
	if !ok {
		return nil, false
	}
	if !v.Type().IsMapType() && !v.Type().IsObjectType() {
		l.wrongType(a.Expr.Range(), a.Name, v, "a map of strings", assign(a, example))
		return nil, false
	}
	values := map[string]string{}
	for it := v.ElementIterator(); it.Next(); {
		key, value := it.Element()
		if value.IsNull() || value.Type() != cty.String {
			l.wrongType(keyRange(a.Expr, key.AsString()), a.Name, value, "a map of strings", assign(a, example))
			return nil, false
		}
		values[key.AsString()] = value.AsString()
	}
	return values, true
}

func (l *loader) nodeLabel(at hcl.Range, key, value string) bool {
	prefix, name, prefixed := strings.Cut(key, "/")
	if !prefixed {
		prefix, name = "", key
	}
	switch {
	case !labelText.MatchString(name) || prefixed && !isSubdomain(prefix):
		l.errorf(at, "Invalid label", "%q is not the key of a Kubernetes label. Write a name of at most 63 letters, digits, hyphens, dots and underscores, with a domain before it or not, such as \"example.net/rack\".", key)
	case value != "" && !labelText.MatchString(value):
		l.errorf(at, "Invalid label", "%q, the value of %q, is not one of a Kubernetes label. Write at most 63 letters, digits, and inner hyphens, dots and underscores.", value, key)
	case prefix == "node-role.kubernetes.io":
		l.errorf(at, "Reserved label", "%q says what a node does, which role in this block decides. Write role = \"worker\", and a label of a domain of yours.", key)
	case reserved(prefix, key):
		l.errorf(at, "Reserved label", "%q belongs to Kubernetes, which refuses or overwrites it. Write a label of a domain of yours, such as \"example.net/rack\".", key)
	default:
		return true
	}
	return false
}

func isSubdomain(name string) bool {
	return len(name) <= maxName && !slices.ContainsFunc(strings.Split(name, "."), func(part string) bool {
		return len(part) > maxLabel || !label.MatchString(part)
	})
}

func reserved(prefix, key string) bool {
	of := func(domain string) bool { return prefix == domain || strings.HasSuffix(prefix, "."+domain) }
	open := slices.Contains(openLabels, key) || slices.ContainsFunc(openPrefixes, of)
	return !open && (of("kubernetes.io") || of("k8s.io"))
}
