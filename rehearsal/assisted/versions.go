package assisted

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

type openshiftVersion struct {
	DisplayName   string   `json:"display_name"`
	SupportLevel  string   `json:"support_level"`
	Default       bool     `json:"default"`
	Architectures []string `json:"cpu_architectures"`
}

func (s *Service) getVersions(r *http.Request) (int, any, error) {
	query := r.URL.Query()
	offered := map[string]openshiftVersion{}
	for _, v := range s.config.Releases {
		if !strings.HasPrefix(v, query.Get("version")) {
			continue
		}
		if query.Get("only_latest") == "true" && s.latest(minor(v)) != v {
			continue
		}
		offered[v] = openshiftVersion{v, "production", v == s.config.Releases[0], []string{"x86_64"}}
	}
	return http.StatusOK, offered, nil
}

func (s *Service) getComponents(*http.Request) (int, any, error) {
	return http.StatusOK, map[string]any{
		"release_tag": "rehearsal",
		"versions": map[string]string{
			"assisted-installer-service":    "quay.io/edge-infrastructure/assisted-service:latest",
			"discovery-agent":               "quay.io/edge-infrastructure/assisted-installer-agent:latest",
			"assisted-installer":            installerImage,
			"assisted-installer-controller": controllerImage,
		},
	}, nil
}

// resolve finds the release a version means: itself, or the latest of its
// minor ("4.20").
func (s *Service) resolve(version string) (string, bool) {
	if slices.Contains(s.config.Releases, version) {
		return version, true
	}
	if latest := s.latest(version); latest != "" {
		return latest, true
	}
	return "", false
}

func (s *Service) latest(minorVersion string) string {
	var found []string
	for _, v := range s.config.Releases {
		if minor(v) == minorVersion {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return ""
	}
	return slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(patch(a), patch(b)) })
}

// minor is "4.20" of "4.20.3".
func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// patch is 3 of "4.20.3" and of "4.20.3-okd-scos.1".
func patch(version string) int {
	_, rest, _ := strings.Cut(strings.TrimPrefix(version, minor(version)), ".")
	digits, _, _ := strings.Cut(rest, "-")
	n, _ := strconv.Atoi(digits) // not a number: 0
	return n
}
