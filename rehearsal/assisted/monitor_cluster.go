package assisted

import (
	"slices"
	"time"
)

// refreshClusters is the cluster monitor's round.
func (s *Service) refreshClusters(at time.Time) {
	for _, c := range s.clusters {
		s.refreshCluster(c, at)
	}
}

// refreshCluster recomputes c's validations and moves it where they and its
// hosts lead.
func (s *Service) refreshCluster(c *cluster, at time.Time) {
	t := c.validate()
	c.ValidationsInfo = t.encode()
	c.SchedulableForced = len(c.withRole("worker")) < 2
	switch c.Status {
	case "insufficient", "ready", "pending-for-input":
		s.refreshWaiting(c, t)
	case "preparing-for-installation":
		s.refreshPreparation(c, at)
	case "installing", "installing-pending-user-action", "finalizing":
		s.refreshInstallation(c)
	}
}

func (s *Service) refreshWaiting(c *cluster, t table) {
	switch {
	case !t.ok("machine-cidr-defined", "cluster-cidr-defined", "service-cidr-defined", "dns-domain-defined", "pull-secret-set"):
		s.setCluster(c, "pending-for-input", "User input required")
	case !t.ok("all-hosts-are-ready-to-install", "sufficient-masters-count", "no-cidrs-overlapping", "ntp-server-configured"):
		s.setCluster(c, "insufficient", "Cluster is not ready for install")
	default:
		s.setCluster(c, "ready", "Cluster ready to be installed")
	}
}

// prepareLimit is how long the preparation may take, images included.
const prepareLimit = 18 * time.Minute

func (s *Service) refreshPreparation(c *cluster, at time.Time) {
	total := len(c.Hosts)
	prepared := c.countHosts("preparing-successful")
	c.Progress.Preparing = prepared * 100 / max(total, 1)
	switch {
	case prepared == total:
		s.setCluster(c, "installing", "Installation in progress")
		c.Progress.Preparing = 100
	case c.countHosts("preparing-failed") > 0:
		s.setCluster(c, "ready", "Cluster failed to prepare for installation")
	case c.countHosts("known", "preparing-for-installation", "preparing-successful") < total:
		s.setCluster(c, "insufficient", "At least one host has stopped preparing for installation")
	case at.Sub(c.StatusUpdatedAt.Time) > s.config.Limits.Budget(prepareLimit):
		s.setCluster(c, "ready", "Preparing cluster for installation timeout")
	}
	c.countProgress()
}

var installingHosts = []string{"installing", "installing-in-progress", "installed", "installing-pending-user-action", "preparing-successful"}

func (s *Service) refreshInstallation(c *cluster) {
	installed := c.enough("installed")
	switch {
	case !c.enough(installingHosts...):
		s.setCluster(c, "error", "cluster has hosts in error")
	case c.countHosts("installing-pending-user-action") > 0:
		s.setCluster(c, "installing-pending-user-action", "Cluster has hosts pending user action")
	case !installed:
		s.setCluster(c, "installing", "Installation in progress")
	case c.Status != "finalizing":
		s.setCluster(c, "finalizing", "Finalizing cluster installation")
		c.Progress.FinalizingStage = "Waiting for cluster operators"
	case c.countHosts("installed", "error") == len(c.Hosts) && (c.completed || c.operatorsAvailable()):
		s.complete(c)
	}
	c.countProgress()
}

func (s *Service) complete(c *cluster) {
	info := "Cluster is installed"
	if c.countHosts("installed") < len(c.Hosts) {
		info = "Cluster is installed but some workers did not join"
	}
	s.setCluster(c, "installed", info)
	c.Progress.FinalizingStage = "Done"
}

// enough reports whether every control plane host, and of two or more wanted
// workers at least two, are in one of statuses.
func (c *cluster) enough(statuses ...string) bool {
	count := func(hosts []*host) (n int) {
		for _, h := range hosts {
			if slices.Contains(statuses, h.Status) {
				n++
			}
		}
		return n
	}
	masters, workers := c.withRole("master"), c.withRole("worker")
	if count(masters) < len(masters) {
		return false
	}
	return len(workers) < 2 || count(workers) >= 2
}

func (s *Service) setCluster(c *cluster, status, info string) {
	if c.Status != status {
		c.StatusUpdatedAt = now()
		if status == "installed" || status == "error" || status == "cancelled" {
			c.InstallCompletedAt = now() // for all three, as the service does
		}
		s.event(c, nil, "cluster_status_updated", severity(status), "Updated status of the cluster to %s (%s)", status, info)
	}
	c.Status, c.StatusInfo, c.UpdatedAt = status, info, now()
}

// countProgress weighs 10 % preparing, 70 % installing, 15 % finalizing; an
// installed cluster jumps to 100.
func (c *cluster) countProgress() {
	done, all := 0, 0
	for _, h := range c.Hosts {
		stages := h.stages(c)
		done += slices.Index(stages, h.Progress.Stage) + 1
		all += len(stages)
	}
	p := &c.Progress
	p.Installing = done * 100 / max(all, 1)
	if len(c.MonitoredOperators) > 0 && c.Status == "finalizing" {
		p.Finalizing = c.available() * 100 / len(c.MonitoredOperators)
	}
	p.Total = (10*p.Preparing + 70*p.Installing + 15*p.Finalizing) / 100
	if c.Status == "installed" {
		p.Total, p.Finalizing = 100, 100
	}
}
