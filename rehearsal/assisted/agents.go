package assisted

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

type hostParams struct {
	HostID       string `json:"host_id"`
	AgentVersion string `json:"discovery_agent_version"`
}

// postHost registers a host, for the first time or again.
func (s *Service) postHost(r *http.Request) (int, any, error) {
	ie, err := s.infraEnvOf(r)
	if err != nil {
		return 0, nil, err
	}
	var p hostParams
	if err := decode(r, "new-host-params", &p); err != nil {
		return 0, nil, err
	}
	if uuid.Validate(p.HostID) != nil {
		return 0, nil, schemaf(601, "host_id in body must be of type uuid: %q", p.HostID)
	}
	h, err := s.register(ie, strings.ToLower(p.HostID), p.AgentVersion)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, registration{host: h, Command: nextStepRunner(s.config.URL, ie.ID, h.ID)}, nil
}

// A registration is the swagger definition "host_registration_response".
type registration struct {
	*host
	Command command `json:"next_step_runner_command"`
}

type command struct {
	Command string   `json:"command"`
	Args    []string `json:"args"`
	Retry   int      `json:"retry_seconds,omitempty"`
}

func nextStepRunner(url, infraEnv, host string) command {
	return command{Command: "next_step_runner", Args: []string{"--url", url, "--infra-env-id", infraEnv, "--host-id", host}}
}

func (s *Service) register(ie *infraEnv, id, version string) (*host, error) {
	c, bound := s.clusters[ie.ClusterID]
	if ie.ClusterID != "" && !bound {
		return nil, failf(http.StatusNotFound, "cluster %s: record not found", ie.ClusterID)
	}
	if h, known := ie.hosts[id]; known {
		return h, s.registerAgain(h, version)
	}
	if bound && !slices.Contains(updatable, c.Status) {
		return nil, refuseRegistration(c)
	}
	h := newHost(ie, c, id)
	h.AgentVersion = version
	ie.hosts[id] = h
	if bound {
		c.Hosts = append(c.Hosts, h)
	}
	s.event(c, h, "host_registration_succeeded", "info", "Host %s: Successfully registered", h.nameForMessages())
	return h, nil
}

func refuseRegistration(c *cluster) error {
	if c.Status == "installed" {
		return failf(http.StatusConflict, "Cannot add hosts to an existing cluster using the original Discovery ISO.")
	}
	return failf(http.StatusConflict, "Host can register only in one of the following states: %v", updatable)
}

const waitingForHardware = "Waiting for host to send hardware details"

func newHost(ie *infraEnv, c *cluster, id string) *host {
	h := &host{
		Kind: "Host", ID: id, Href: ie.Href + "/hosts/" + id, InfraEnvID: ie.ID,
		Status: "discovering-unbound", StatusInfo: waitingForHardware, StatusUpdatedAt: now(),
		Role: "auto-assign", SuggestedRole: "auto-assign", MediaStatus: "connected", ProgressStages: []string{},
		RegisteredAt: now(), CheckedInAt: now(), CreatedAt: now(), UpdatedAt: now(),
	}
	if c == nil {
		return h
	}
	h.ClusterID, h.Status = c.ID, "discovering"
	if c.ControlPlaneCount == 1 {
		h.Role, h.SuggestedRole, h.Bootstrap = "master", "master", true
	}
	return h
}

const (
	wrongBoot    = "Expected the host to boot from disk, but it booted the installation image - please reboot and fix boot order to boot from disk"
	afterInstall = "Host is trying to register after the cluster has already been installed. That most probably means that the host is booting from the installation ISO, and therefore not effectively joining the cluster. The request will be ignored. Fix the boot order and reboot the host."
)

// registerAgain is the host state machine's "RegisterHost": a live system has
// booted on a host that is known already.
func (s *Service) registerAgain(h *host, version string) error {
	h.CheckedInAt, h.RegisteredAt = now(), now()
	switch h.Status {
	case "installed":
		return failf(http.StatusConflict, afterInstall)
	case "installing-pending-user-action":
		return failf(http.StatusForbidden, "Host is required to be booted from disk %s", h.DiskPath)
	case "installing-in-progress", "installing":
		if h.Status == "installing-in-progress" && h.Progress.Stage == "Rebooting" {
			s.setHost(h, "installing-pending-user-action", fmt.Sprintf("%s (%s, %s)", wrongBoot, h.DiskPath, h.DiskID))
			return nil
		}
		s.setHost(h, "error", "The host unexpectedly restarted during the installation")
	case "preparing-for-installation", "preparing-successful":
		h.forget(false)
		s.setHost(h, "known", hostReady)
	case "error", "cancelled":
	default:
		h.forget(true)
		s.setHost(h, discoveringFor(h), waitingForHardware)
	}
	h.AgentVersion = version
	return nil
}

func discoveringFor(h *host) string {
	if h.ClusterID == "" {
		return "discovering-unbound"
	}
	return "discovering"
}

// forget drops what an earlier live system reported.
func (h *host) forget(inventory bool) {
	h.Progress, h.ImagesStatus, h.images = hostProgress{}, "", nil
	h.ntp, h.NTPSources = nil, ""
	if inventory {
		h.inventory, h.Inventory, h.Bootstrap = nil, "", false
		h.domains, h.Domains, h.diskSpeed, h.DisksInfo = nil, "", nil, ""
	}
}

type progressParams struct {
	Stage string `json:"current_stage"`
	Info  string `json:"progress_info"`
}

// putProgress takes a stage from the agent, and after the reboot from the
// installed system in the name of the cluster's controller.
func (s *Service) putProgress(r *http.Request) (int, any, error) {
	h, err := s.hostOf(r)
	if err != nil {
		return 0, nil, err
	}
	var p progressParams
	if err := decode(r, "host-progress", &p); err != nil {
		return 0, nil, err
	}
	if err := oneOf("current_stage", p.Stage, allStages...); err != nil {
		return 0, nil, err
	}
	c := s.clusters[h.ClusterID]
	if c == nil {
		return 0, nil, failf(http.StatusBadRequest, "host %s is not bound to any cluster, cannot update progress", h.ID)
	}
	h.CheckedInAt = now()
	return http.StatusOK, nil, s.progress(c, h, p)
}

func (s *Service) progress(c *cluster, h *host, p progressParams) error {
	if p.Stage == h.Progress.Stage {
		if p.Info != h.Progress.Info {
			h.Progress.Info, h.Progress.UpdatedAt = p.Info, now()
		}
		return nil
	}
	if !slices.Contains([]string{"installing", "installing-in-progress", "installing-pending-user-action"}, h.Status) {
		return failf(http.StatusConflict, "Can't set progress <%s> to host in status <%s>", p.Stage, h.Status)
	}
	if p.Stage == "Failed" {
		s.setHost(h, "error", strings.TrimSuffix("Failed - "+p.Info, " - "))
		return nil
	}
	if err := h.advance(c, p); err != nil {
		return err
	}
	s.event(c, h, "host_install_progress_updated", "info", "Host: %s, reached installation stage %s", h.nameForMessages(), p.Stage)
	if p.Stage == "Done" && h.Status != "installing-pending-user-action" {
		s.setHost(h, "installed", p.Stage)
	} else {
		s.setHost(h, "installing-in-progress", p.Stage)
	}
	c.countProgress()
	return nil
}

func (h *host) advance(c *cluster, p progressParams) error {
	stages := h.stages(c)
	next, current := slices.Index(stages, p.Stage), slices.Index(stages, h.Progress.Stage)
	if next < 0 {
		return failf(http.StatusConflict, "Stages %s isn't available for host role %s bootstrap %v", p.Stage, h.role(), h.Bootstrap)
	}
	if next < current {
		return failf(http.StatusConflict, "Can't assign lower stage %q after host has been in stage %q", p.Stage, h.Progress.Stage)
	}
	h.Progress = hostProgress{p.Stage, p.Info, (next + 1) * 100 / len(stages), now(), now()}
	return nil
}

// poll notes that the agent of h is alive, and its clock.
func (h *host) poll(timestamp string) {
	h.CheckedInAt = now()
	if t, err := strconv.ParseInt(timestamp, 10, 64); err == nil {
		h.Timestamp = t
		h.skew = time.Since(time.Unix(t, 0))
	}
}
