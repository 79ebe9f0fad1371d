package spec

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// A broken release does not install, whatever we do.
type broken struct {
	product    string // okd
	minors     []int  // of 4
	installers []string
	why        string
	instead    string
}

// brokenReleases are those known not to work with an installer.
var brokenReleases = []broken{
	{"okd", []int{16, 17}, []string{"assisted", "agent"},
		"its live image is Fedora CoreOS, which cannot pivot to CentOS Stream CoreOS (github.com/okd-project/okd/issues/2071 and 2018)", "okd-4.20"},
}

// largeControlPlane is the first minor of 4 whose control plane may have more
// than three nodes (assisted-service, MinimumVersionForNonStandardHAOCPControlPlane).
const largeControlPlane = 18

// minor is the Y of a release X.Y with X = 4, -1 for all others.
func minor(release string) (product string, y int) {
	product, version, _ := strings.Cut(release, "-")
	parts := strings.Split(version, ".")
	if len(parts) < 2 || parts[0] != "4" {
		return product, -1
	}
	y, err := strconv.Atoi(parts[1])
	if err != nil {
		return product, -1
	}
	return product, y
}

// checkRelease refuses what is known not to work.
func (l *loader) checkRelease(c *cluster) {
	if c.Release == "" || c.Installer.Type == "" {
		return
	}
	product, y := minor(c.Release)
	for _, b := range brokenReleases {
		if b.product == product && slices.Contains(b.minors, y) && slices.Contains(b.installers, c.Installer.Type) {
			l.errorf(c.raw.Release.Expr.Range(), "Broken release", "%s does not install with installer %q: %s. Write release = %q.", c.Release, c.Installer.Type, b.why, b.instead)
		}
	}
}

// checkLargeControlPlane refuses four and five nodes for releases before they
// were supported.
func (l *loader) checkLargeControlPlane(c *cluster, control int, at hcl.Range) {
	if _, y := minor(c.Release); control > 3 && y >= 0 && y < largeControlPlane {
		l.errorf(at, "Invalid control plane", "A control plane of %d nodes needs 4.%d or newer, and this is %s. Write count = 3, or a newer release.", control, largeControlPlane, c.Release)
	}
}
