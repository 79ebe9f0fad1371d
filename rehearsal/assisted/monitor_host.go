package assisted

import (
	"slices"
	"time"
)

const (
	hostReady     = "Host is ready to be installed"
	clusterFailed = "Host is part of a cluster that failed to install"
)

// refreshHosts is the host monitor's round.
func (s *Service) refreshHosts(at time.Time) {
	for _, ie := range s.infraEnvs {
		for _, h := range ie.list() {
			s.refreshHost(h, at)
		}
	}
}

// refreshHost recomputes h's validations and moves it where they lead.
func (s *Service) refreshHost(h *host, at time.Time) {
	c := s.clusters[h.ClusterID]
	s.suggestRole(c, h)
	t := s.validate(h, at)
	h.ValidationsInfo = t.encode()
	if c != nil {
		h.ProgressStages = h.stages(c)
	}
	switch {
	case c == nil:
		s.refreshUnbound(h, t)
	case slices.Contains(beforeInstallation, h.Status):
		s.refreshDiscovered(c, h, t)
	case h.Status == "preparing-for-installation" || h.Status == "preparing-successful" || h.Status == "preparing-failed":
		s.refreshPreparing(c, h, t)
	case h.Status == "installing" || h.Status == "installing-in-progress" || h.Status == "installing-pending-user-action":
		s.refreshInstalling(c, h, t, at)
	}
}

// suggestRole gives a role to a host without one: control plane while it is
// wanted and the hardware allows, else worker.
func (s *Service) suggestRole(c *cluster, h *host) {
	if c == nil || h.inventory == nil || h.Role != "auto-assign" {
		return
	}
	masters := 0
	for _, o := range c.Hosts {
		if o != h && o.role() == "master" {
			masters++
		}
	}
	h.SuggestedRole = "worker"
	need := s.config.Minimum.of(c, "master")
	if masters < c.ControlPlaneCount && h.inventory.CPU.Count >= need.CPUs && need.memoryFits(h.inventory.Memory.Physical) {
		h.SuggestedRole = "master"
	}
}

var (
	minimumHardware = []string{"has-min-valid-disks", "has-min-cpu-cores", "has-min-memory", "compatible-with-cluster-platform"}
	neededToInstall = []string{
		"has-memory-for-role", "has-cpu-cores-for-role", "belongs-to-machine-cidr", "hostname-unique", "hostname-valid",
		"has-default-route", "api-domain-name-resolved-correctly", "api-int-domain-name-resolved-correctly",
		"apps-domain-name-resolved-correctly", "dns-wildcard-not-configured", "sufficient-installation-disk-speed",
		"non-overlapping-subnets", "time-synced-between-host-and-service", "no-ip-collisions-in-network",
	}
)

func (s *Service) refreshUnbound(h *host, t table) {
	switch {
	case !t.ok("connected"):
		s.setHost(h, "disconnected-unbound", "Host has stopped communicating with the installation service")
	case h.inventory == nil:
		s.setHost(h, "discovering-unbound", waitingForHardware)
	case !t.ok(minimumHardware...):
		s.setHost(h, "insufficient-unbound", "Host does not meet the minimum hardware requirements: "+t.failing())
	default:
		s.setHost(h, "known-unbound", "Host is ready to be bound to a cluster")
	}
}

func (s *Service) refreshDiscovered(c *cluster, h *host, t table) {
	switch {
	case !t.ok("connected"):
		s.setHost(h, "disconnected", "Host has stopped communicating with the installation service")
	case h.inventory == nil:
		s.setHost(h, "discovering", waitingForHardware)
	case !t.ok(minimumHardware...):
		s.setHost(h, "insufficient", "Host does not meet the minimum hardware requirements: "+t.failing())
	case !t.ok(neededToInstall...):
		s.setHost(h, "insufficient", "Host cannot be installed due to following failing validation(s): "+t.failing())
	case h.Status == "known" && c.Status == "preparing-for-installation":
		s.setHost(h, "preparing-for-installation", "Host is preparing for installation")
	default:
		s.setHost(h, "known", hostReady)
	}
}

func (s *Service) refreshPreparing(c *cluster, h *host, t table) {
	switch {
	case c.Status == "ready" || c.Status == "insufficient":
		s.setHost(h, "known", hostReady)
	case !t.ok("connected"):
		s.setHost(h, "disconnected", "Host failed to install due to timeout while connecting to host during the preparation phase.")
	case h.Status == "preparing-failed" || !t.ok("sufficient-installation-disk-speed", "container-images-available"):
		s.setHost(h, "preparing-failed", "Host failed to prepare for installation due to following failing validation(s): "+t.failing())
	case c.Status == "installing":
		s.setHost(h, "installing", "Installation is in progress")
	case h.diskSpeed != nil && len(h.images) > 0:
		s.setHost(h, "preparing-successful", "Host finished successfully to prepare for installation")
	}
}

// Stages in which no agent answers any more.
var rebooted = []string{"Rebooting", "Waiting for ignition", "Configuring", "Joined", "Done"}

func (s *Service) refreshInstalling(c *cluster, h *host, t table, at time.Time) {
	limit := stageLimit(c, h.Progress.Stage)
	since := h.Progress.UpdatedAt.Time
	if h.Status == "installing-pending-user-action" {
		limit, since = time.Hour, h.StatusUpdatedAt.Time
	}
	late := !since.IsZero() && at.Sub(since) > s.config.Limits.Budget(limit)
	switch {
	case c.Status == "error" || c.Status == "cancelled":
		s.setHost(h, "error", clusterFailed)
	case h.Status == "installing-pending-user-action" && late:
		s.setHost(h, "error", "Host failed to boot from the installation disk within the expected time.")
	case !slices.Contains(rebooted, h.Progress.Stage) && !t.ok("connected"):
		s.setHost(h, "error", "Host failed to install due to timeout while connecting to host during the installation phase.")
	case late:
		s.setHost(h, "error", "Host failed to install because its installation stage "+h.Progress.Stage+" took longer than expected "+limit.String())
	}
}

func (s *Service) setHost(h *host, status, info string) {
	if h.Status != status {
		h.StatusUpdatedAt = now()
		s.event(s.clusters[h.ClusterID], h, "host_status_updated", severity(status), "Host %s: updated status from %s to %s (%s)", h.nameForMessages(), h.Status, status, info)
	}
	h.Status, h.StatusInfo, h.UpdatedAt = status, info, now()
}
