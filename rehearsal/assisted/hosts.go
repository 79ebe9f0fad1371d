package assisted

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

func (s *Service) getHosts(r *http.Request) (int, any, error) {
	ie, err := s.infraEnvOf(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, ie.list(), nil
}

func (ie *infraEnv) list() []*host {
	list := []*host{}
	for _, h := range ie.hosts {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b *host) int { return strings.Compare(a.ID, b.ID) })
	return list
}

func (s *Service) getHost(r *http.Request) (int, any, error) {
	h, err := s.hostOf(r)
	return http.StatusOK, h, err
}

func (s *Service) hostOf(r *http.Request) (*host, error) {
	ie, err := s.infraEnvOf(r)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("host_id")
	if uuid.Validate(id) != nil {
		return nil, schemaf(601, "host_id in path must be of type uuid: %q", id)
	}
	if h, ok := ie.hosts[id]; ok {
		return h, nil
	}
	return nil, failf(http.StatusNotFound, "host %s not found in infra env %s", id, ie.ID)
}

func (s *Service) deleteHost(r *http.Request) (int, any, error) {
	h, err := s.hostOf(r)
	if err != nil {
		return 0, nil, err
	}
	delete(s.infraEnvs[h.InfraEnvID].hosts, h.ID)
	if c := s.clusters[h.ClusterID]; c != nil {
		c.Hosts = slices.DeleteFunc(c.Hosts, func(o *host) bool { return o == h })
		s.refreshCluster(c, now().Time)
	}
	return http.StatusNoContent, nil, nil
}

// hostUpdate is what the simulated part of "host-update-params" is.
type hostUpdate struct {
	Role  *string      `json:"host_role"`
	Name  *string      `json:"host_name"`
	Disks []diskConfig `json:"disks_selected_config"`
}

type diskConfig struct {
	ID   string `json:"id"`
	Role string `json:"role"`
}

// States in which role, name and disk of a host may still be changed.
var beforeInstallation = []string{"discovering", "known", "disconnected", "insufficient", "pending-for-input"}

func (s *Service) patchHost(r *http.Request) (int, any, error) {
	h, err := s.hostOf(r)
	if err != nil {
		return 0, nil, err
	}
	var p hostUpdate
	if err := decode(r, "host-update-params", &p); err != nil {
		return 0, nil, err
	}
	path, err := p.check(h)
	if err != nil {
		return 0, nil, err
	}
	p.apply(h, path)
	s.refreshHost(h, now().Time)
	if c := s.clusters[h.ClusterID]; c != nil {
		s.refreshCluster(c, now().Time)
	}
	return http.StatusCreated, h, nil
}

// check refuses an update whole; it returns the path of the chosen disk.
func (p hostUpdate) check(h *host) (path string, err error) {
	if p.Role != nil {
		if err := oneOf("host_role", *p.Role, "auto-assign", "master", "arbiter", "worker"); err != nil {
			return "", err
		}
		if !slices.Contains(beforeInstallation, h.Status) {
			return "", failf(http.StatusInternalServerError, "Host is in %s state, host role can be set only in one of %v states", h.Status, beforeInstallation)
		}
	}
	if p.Name != nil {
		if err := checkHostname(*p.Name); err != nil {
			return "", err
		}
		if !slices.Contains(beforeInstallation, h.Status) {
			return "", failf(http.StatusConflict, "Host is in %s state, host name can be set only in one of %v states", h.Status, beforeInstallation)
		}
	}
	return p.checkDisks(h)
}

func (p hostUpdate) checkDisks(h *host) (path string, err error) {
	var chosen []string
	for _, d := range p.Disks {
		if err := oneOf("role", d.Role, "none", "install"); err != nil {
			return "", err
		}
		if d.Role == "install" {
			chosen = append(chosen, d.ID)
		}
	}
	switch {
	case len(chosen) == 0:
		return "", nil
	case len(chosen) > 1:
		return "", failf(http.StatusConflict, "duplicate setting of installation path by the user")
	case !slices.Contains(beforeInstallation, h.Status):
		return "", failf(http.StatusConflict, "Host is in %s state, installation disk can be set only in one of %v states", h.Status, beforeInstallation)
	}
	return h.diskPath(chosen[0])
}

func (h *host) diskPath(id string) (string, error) {
	if h.inventory != nil {
		for _, d := range h.inventory.Disks {
			if d.ID == id && d.Eligibility != nil && d.Eligibility.Eligible {
				return d.Path, nil
			}
		}
	}
	return "", failf(http.StatusConflict, "Requested installation disk is not part of the host's valid disks")
}

func (p hostUpdate) apply(h *host, path string) {
	set(&h.Role, p.Role)
	set(&h.Hostname, p.Name)
	if path != "" {
		h.choose(path)
	}
	h.UpdatedAt = now()
}

// choose makes path the installation disk.
func (h *host) choose(path string) {
	for _, d := range h.inventory.Disks {
		if d.Path == path {
			h.DiskPath, h.DiskID = d.Path, d.ID
		}
	}
}

const hostnamePattern = `^[a-z0-9][a-z0-9-]{0,62}(?:[.][a-z0-9-]{1,63})*$`

var (
	hostname           = regexp.MustCompile(hostnamePattern)
	forbiddenHostnames = []string{"localhost", "localhost.localdomain", "localhost4", "localhost4.localdomain4", "localhost6", "localhost6.localdomain6"}
)

func checkHostname(name string) error {
	if !hostname.MatchString(name) {
		return failf(http.StatusBadRequest, "Hostname does not pass required regex validation: %s. Hostname: %s", hostnamePattern, name)
	}
	if slices.Contains(forbiddenHostnames, name) {
		return failf(http.StatusBadRequest, "The host name %s is forbidden", name)
	}
	return nil
}
