package assisted

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-project/slipway/internal/hint"
)

type openshiftVersion struct {
	Architectures []string `json:"cpu_architectures"`
}

// version finds the version of the service that a release of the spec means:
// the one named, or the newest of its minor. OKD releases have "okd" in
// their version.
func (e *Engine) version(ctx context.Context, release string) (string, error) {
	var offered map[string]openshiftVersion
	if err := e.do(ctx, call{method: http.MethodGet, path: "/openshift-versions"}, &offered); err != nil {
		return "", err
	}
	maps.DeleteFunc(offered, func(_ string, v openshiftVersion) bool { return !slices.Contains(v.Architectures, "x86_64") })
	names := slices.Collect(maps.Keys(offered))
	if found := choose(release, names); found != "" {
		return found, nil
	}
	slices.SortFunc(names, compareVersions)
	return "", hint.With(fmt.Errorf("release %s is not offered by %s", release, e.endpoint),
		"it offers "+shorten(strings.Join(names, ", ")))
}

// choose returns the version among offered that release means, or "".
func choose(release string, offered []string) string {
	product, want, _ := strings.Cut(release, "-")
	var fit []string
	for _, v := range offered {
		switch okd := strings.Contains(v, "okd"); {
		case (product == "okd") != okd:
		case v == want:
			return v
		case strings.HasPrefix(v, want+".") && stable(v), strings.HasPrefix(v, want+"-okd"):
			fit = append(fit, v)
		}
	}
	if len(fit) == 0 {
		return ""
	}
	return slices.MaxFunc(fit, compareVersions)
}

var preview = regexp.MustCompile(`-(rc|ec|fc|nightly|beta)`)

func stable(version string) bool { return !preview.MatchString(version) }

var versionPart = regexp.MustCompile(`[0-9]+|[a-z]+`)

// compareVersions orders by the numbers and words in a version, in turn.
func compareVersions(a, b string) int {
	return slices.CompareFunc(versionPart.FindAllString(a, -1), versionPart.FindAllString(b, -1), func(x, y string) int {
		n, errN := strconv.Atoi(x)
		m, errM := strconv.Atoi(y)
		if errN == nil && errM == nil {
			return cmp.Compare(n, m)
		}
		return cmp.Compare(x, y)
	})
}
