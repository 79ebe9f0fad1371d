package assisted

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/rehearsal/node"
)

// infraEnvParams is what the rehearsal honours of the swagger definition
// "infra-env-create-params"; the rest is refused like an unknown field.
type infraEnvParams struct {
	Name             string        `json:"name"`
	ClusterID        string        `json:"cluster_id"`
	OpenshiftVersion string        `json:"openshift_version"`
	CPUArchitecture  string        `json:"cpu_architecture"`
	ImageType        string        `json:"image_type"`
	PullSecret       string        `json:"pull_secret"`
	SSHAuthorizedKey string        `json:"ssh_authorized_key"`
	NTPSources       string        `json:"additional_ntp_sources"`
	StaticNetwork    []hostNetwork `json:"static_network_config"`
}

func (s *Service) postInfraEnv(r *http.Request) (int, any, error) {
	var p infraEnvParams
	if err := decode(r, "infraenv-create-params", &p); err != nil {
		return 0, nil, err
	}
	networks, err := s.checkInfraEnv(&p)
	if err != nil {
		return 0, nil, err
	}
	ie, err := p.infraEnv(networks)
	if err != nil {
		return 0, nil, err
	}
	s.infraEnvs[ie.ID] = ie
	s.sign(ie, now().Time)
	return http.StatusCreated, ie, nil
}

// checkInfraEnv fills what p leaves out and refuses what the service refuses.
func (s *Service) checkInfraEnv(p *infraEnvParams) ([]node.StaticNetwork, error) {
	if err := required(map[string]bool{"name": p.Name != "", "pull_secret": p.PullSecret != ""}); err != nil {
		return nil, err
	}
	if err := oneOf("image_type", p.ImageType, "", "full-iso", "minimal-iso", "disconnected-iso"); err != nil {
		return nil, err
	}
	if err := rehearsed("image_type", p.ImageType, "", "minimal-iso"); err != nil {
		return nil, err
	}
	if err := rehearsed("cpu_architecture", p.CPUArchitecture, "", "x86_64"); err != nil {
		return nil, err
	}
	if err := checkPullSecret(p.PullSecret); err != nil {
		return nil, err
	}
	if err := s.checkBinding(p); err != nil {
		return nil, err
	}
	return checkStaticNetworks(p.StaticNetwork)
}

func (s *Service) checkBinding(p *infraEnvParams) error {
	c, bound := s.clusters[p.ClusterID]
	if p.ClusterID != "" && !bound {
		return failf(http.StatusNotFound, "cluster %s: record not found", p.ClusterID)
	}
	if p.OpenshiftVersion == "" {
		p.OpenshiftVersion = s.config.Releases[0]
		if bound {
			p.OpenshiftVersion = c.OpenshiftVersion
		}
	}
	version, ok := s.resolve(p.OpenshiftVersion)
	if !ok {
		return failf(http.StatusBadRequest, "No OS image for Openshift version %s and architecture x86_64", p.OpenshiftVersion)
	}
	p.OpenshiftVersion = version
	return nil
}

func (p infraEnvParams) infraEnv(networks []node.StaticNetwork) (*infraEnv, error) {
	static := ""
	if len(p.StaticNetwork) > 0 {
		encoded, err := json.Marshal(p.StaticNetwork)
		if err != nil {
			return nil, err
		}
		static = string(encoded)
	}
	id := uuid.NewString()
	return &infraEnv{
		Kind: "InfraEnv", ID: id, Href: base + "/infra-envs/" + id,
		Name: p.Name, Type: "minimal-iso", ClusterID: p.ClusterID,
		OpenshiftVersion: p.OpenshiftVersion, CPUArchitecture: "x86_64",
		SSHAuthorizedKey: p.SSHAuthorizedKey, NTPSources: p.NTPSources, StaticNetwork: static,
		PullSecretSet: true, CreatedAt: now(), UpdatedAt: now(),
		networks: networks, hosts: map[string]*host{}, signatures: map[string]time.Time{},
	}, nil
}

func (s *Service) getInfraEnvs(r *http.Request) (int, any, error) {
	want := r.URL.Query().Get("cluster_id")
	list := []*infraEnv{}
	for _, ie := range s.infraEnvs {
		if want == "" || ie.ClusterID == want {
			list = append(list, ie)
		}
	}
	slices.SortFunc(list, func(a, b *infraEnv) int { return strings.Compare(a.ID, b.ID) })
	return http.StatusOK, list, nil
}

func (s *Service) getInfraEnv(r *http.Request) (int, any, error) {
	ie, err := s.infraEnvOf(r)
	return http.StatusOK, ie, err
}

func (s *Service) infraEnvOf(r *http.Request) (*infraEnv, error) {
	id := r.PathValue("infra_env_id")
	if uuid.Validate(id) != nil {
		return nil, schemaf(601, "infra_env_id in path must be of type uuid: %q", id)
	}
	if ie, ok := s.infraEnvs[id]; ok {
		return ie, nil
	}
	return nil, failf(http.StatusNotFound, "Failed to get infra-env %s: record not found", id)
}

func (s *Service) deleteInfraEnv(r *http.Request) (int, any, error) {
	ie, err := s.infraEnvOf(r)
	if err != nil {
		return 0, nil, err
	}
	if len(ie.hosts) > 0 {
		return 0, nil, failf(http.StatusBadRequest, "failed to deregister infraEnv %s, %d hosts are still associated", ie.ID, len(ie.hosts))
	}
	if err := s.dropImage(ie); err != nil {
		return 0, nil, err
	}
	delete(s.infraEnvs, ie.ID)
	return http.StatusNoContent, nil, nil
}
