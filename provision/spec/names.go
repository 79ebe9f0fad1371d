package spec

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Limits of names, in bytes.
const (
	maxLabel   = 63  // RFC 1123, one label
	maxName    = 253 // RFC 1123, with dots
	maxCluster = 54  // assisted service API, cluster-create-params.name
	maxHost    = 63  // RHCOS cuts longer host names, and the node joins under another one
)

var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// named checks a label that becomes part of a DNS name.
func (r *reader) named(what, name string, limit int, at hcl.Range) bool {
	if label.MatchString(name) && len(name) <= limit {
		return true
	}
	r.errorf(at, "Invalid name", "The name of a %s becomes part of DNS names; %q cannot. Write at most %d lower-case letters, digits and inner hyphens (RFC 1123), such as %q.",
		what, name, limit, propose(name, what, limit))
	return false
}

var notInLabel = regexp.MustCompile(`[^a-z0-9]+`)

// propose is the valid name nearest to name.
func propose(name, otherwise string, limit int) string {
	name = notInLabel.ReplaceAllString(strings.ToLower(name), "-")
	name = strings.Trim(name[:min(len(name), limit)], "-")
	if name == "" {
		return otherwise
	}
	return name
}

// domain checks the base domain of a cluster.
func (r *reader) domain(a *hcl.Attribute) (string, bool) {
	name, ok := r.text(a, `"lab.test"`)
	if !ok {
		return "", false
	}
	if why := notDomain(name); why != "" {
		r.errorf(a.Expr.Range(), "Invalid domain", "%q %s. Write a domain of yours, such as domain = \"lab.example.net\".", name, why)
		return "", false
	}
	return name, true
}

var numeric = regexp.MustCompile(`^[0-9]+$`)

func notDomain(name string) string {
	labels := strings.Split(name, ".")
	last := labels[len(labels)-1]
	for _, l := range labels {
		if !label.MatchString(l) || len(l) > maxLabel {
			return "is not a domain of lower-case letters, digits, hyphens and inner dots (RFC 1123)"
		}
	}
	switch _, err := netip.ParseAddr(name); {
	case err == nil || numeric.MatchString(last):
		return "is not a domain: it ends in a number"
	case last == "local":
		return "ends in .local, which nodes look up by multicast DNS (RFC 6762) and never by ours"
	}
	return ""
}

// fits checks the full name of a node against what host names may be.
func (r *reader) fits(full string, at hcl.Range) {
	if len(full) > maxHost {
		r.errorf(at, "Name too long", "The host name %s has %d bytes and may have %d: longer ones are cut at boot and the node joins under another name. Shorten the machines label, the cluster name or the domain.",
			full, len(full), maxHost)
	}
}

var release = regexp.MustCompile(`^(okd|ocp)-[1-9][0-9]*\.[0-9]+(\.[0-9]+)?$`)

func (r *reader) release(a *hcl.Attribute) (string, bool) {
	text, ok := r.text(a, `"okd-4.20"`)
	if ok && !release.MatchString(text) {
		r.errorf(a.Expr.Range(), "Invalid release", "%q is not a release. Write okd-X.Y or ocp-X.Y, with .Z for an exact one, such as release = \"okd-4.20\".", text)
		return "", false
	}
	return text, ok
}

// closest returns the option that given was probably meant to be, or "".
func closest(given string, options []string) string {
	best, within := "", min(3, len(given)) // 3: as in hcl's own suggestions
	for _, option := range options {
		if d := distance(given, option); d < within {
			best, within = option, d
		}
	}
	return best
}

// didYouMean ends a sentence with a suggestion, or with all there is.
func didYouMean(given string, options []string) string {
	if best := closest(given, options); best != "" {
		return fmt.Sprintf("Did you mean %q?", best)
	}
	if len(options) == 0 {
		return "None is declared."
	}
	return "Choose from: " + strings.Join(options, ", ") + "."
}

// distance is the Levenshtein distance of a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
