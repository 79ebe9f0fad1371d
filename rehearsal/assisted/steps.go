package assisted

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

const (
	installerImage  = "quay.io/edge-infrastructure/assisted-installer:latest"
	controllerImage = "quay.io/edge-infrastructure/assisted-installer-controller:latest"
)

func releaseImage(version string) string {
	return "quay.io/openshift-release-dev/ocp-release:" + version + "-x86_64"
}

const releaseHost = "quay.io"

// A steps is the swagger definition of the same name.
type steps struct {
	NextSeconds  int    `json:"next_instruction_seconds"`
	PostAction   string `json:"post_step_action"`
	Instructions []step `json:"instructions"`
}

type step struct {
	Type string   `json:"step_type"`
	ID   string   `json:"step_id"`
	Args []string `json:"args"`
}

func (s *Service) getInstructions(r *http.Request) (int, any, error) {
	h, err := s.hostOf(r)
	if err != nil {
		return 0, nil, err
	}
	h.poll(r.URL.Query().Get("timestamp"))
	wait := agentPoll
	if h.Status == "disconnected" || h.Status == "error" || h.Status == "cancelled" {
		wait = agentPollBackoff
	}
	instructions, err := s.stepsFor(h)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, steps{int(wait / time.Second), "continue", instructions}, nil
}

func (s *Service) stepsFor(h *host) ([]step, error) {
	c := s.clusters[h.ClusterID]
	list := stepList{steps: []step{}}
	switch h.Status {
	case "discovering", "disconnected", "discovering-unbound":
		list.add("inventory")
	case "known-unbound", "insufficient-unbound":
		list.add("inventory")
		list.add("ntp-synchronizer", s.ntpRequest(h))
	case "known", "insufficient", "pending-for-input":
		list.add("inventory")
		list.add("ntp-synchronizer", s.ntpRequest(h))
		list.add("domain-resolution", domainRequest(c))
	case "preparing-for-installation":
		list.prepare(h, c)
	case "installing":
		list.add("install", installRequest(c, h))
	case "error", "cancelled":
		list.add("stop-installation")
	}
	return list.steps, list.err
}

// A stepList gathers steps and the first error of encoding one.
type stepList struct {
	steps []step
	err   error
}

func (l *stepList) add(kind string, args ...any) {
	encoded := []string{}
	for _, arg := range args {
		text, err := json.Marshal(arg)
		if err != nil {
			l.err = fmt.Errorf("step %s: %w", kind, err)
			return
		}
		encoded = append(encoded, string(text))
	}
	l.steps = append(l.steps, step{kind, kind + "-" + uuid.NewString()[:8], encoded})
}

// prepare asks for what the preparation of an installation measures, once.
func (l *stepList) prepare(h *host, c *cluster) {
	if h.diskSpeed == nil || h.diskSpeed.Path != h.DiskPath {
		l.add("installation-disk-speed-check", map[string]string{"path": h.DiskPath})
	}
	if len(h.images) == 0 {
		images := []string{releaseImage(c.OpenshiftVersion), installerImage, controllerImage}
		l.add("container-image-availability", map[string]any{"images": images, "timeout": 960})
	}
}

func (s *Service) ntpRequest(h *host) map[string]string {
	return map[string]string{"ntp_source": s.infraEnvs[h.InfraEnvID].NTPSources}
}

func (c *cluster) fullName() string { return c.Name + "." + c.BaseDNSDomain }

const appsName = "console-openshift-console.apps"

func wildcardName(c *cluster) string { return "validateNoWildcardDNS." + c.fullName() }

func domainRequest(c *cluster) map[string]any {
	names := []string{
		"api." + c.fullName(), "api-int." + c.fullName(), appsName + "." + c.fullName(),
		wildcardName(c) + ".", wildcardName(c), releaseHost,
	}
	domains := []map[string]string{}
	for _, name := range names {
		domains = append(domains, map[string]string{"domain_name": name})
	}
	return map[string]any{"domains": domains}
}

func installRequest(c *cluster, h *host) map[string]any {
	role := h.role()
	if h.Bootstrap {
		role = "bootstrap"
	}
	return map[string]any{
		"role": role, "cluster_id": c.ID, "infra_env_id": h.InfraEnvID, "host_id": h.ID,
		"boot_device": h.DiskPath, "control_plane_count": c.ControlPlaneCount,
		"controller_image": controllerImage, "installer_image": installerImage,
		"openshift_version": c.OpenshiftVersion, "check_cvo": true,
		"enable_skip_mco_reboot": true, "notify_num_reboots": true,
	}
}
