package assisted

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/slipway-project/slipway/rehearsal/node"
)

func (s *Service) postInstall(r *http.Request) (int, any, error) {
	c, err := s.clusterOf(r)
	if err != nil {
		return 0, nil, err
	}
	s.refreshCluster(c, now().Time)
	if c.Status != "ready" {
		return 0, nil, failf(http.StatusConflict, "Cluster is not ready for installation, %s validation_info=%s", c.notReady(), c.ValidationsInfo)
	}
	if err := s.generate(c); err != nil {
		return 0, nil, err
	}
	c.InstallStartedAt = now()
	c.Progress = clusterProgress{}
	s.setCluster(c, "preparing-for-installation", "Preparing cluster for installation")
	return http.StatusAccepted, c.view(), nil
}

func (c *cluster) notReady() string {
	return fmt.Sprintf("cluster %s is in state %s", c.ID, c.Status)
}

// generate chooses the bootstrap host and makes what Ignition will carry.
func (s *Service) generate(c *cluster) error {
	keys := append(lines(c.SSHPublicKey), s.hostKeys(c)...)
	bundle, err := node.NewBundle(c.ID, c.Name, c.BaseDNSDomain, c.OpenshiftVersion, keys)
	if err != nil {
		return failf(http.StatusInternalServerError, "generate ignition: %v", err)
	}
	masters := c.withRole("master")
	slices.SortFunc(masters, func(a, b *host) int { return strings.Compare(a.ID, b.ID) })
	for i, h := range masters {
		h.Bootstrap = i == 0
	}
	for _, h := range c.Hosts {
		bundle.Hosts = append(bundle.Hosts, node.Member{HostID: h.ID, Hostname: h.hostname(), Role: h.role(), Bootstrap: h.Bootstrap})
	}
	c.bundle = &bundle
	return nil
}

// hostKeys are the SSH keys of the infra envs that c's hosts came by.
func (s *Service) hostKeys(c *cluster) []string {
	var keys []string
	for _, h := range c.Hosts {
		for _, key := range lines(s.infraEnvs[h.InfraEnvID].SSHAuthorizedKey) {
			if !slices.Contains(keys, key) && !slices.Contains(lines(c.SSHPublicKey), key) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

func (s *Service) postCancel(r *http.Request) (int, any, error) {
	c, err := s.clusterOf(r)
	if err != nil {
		return 0, nil, err
	}
	switch c.Status {
	case "preparing-for-installation":
		s.setCluster(c, "ready", "Cluster ready to be installed")
		for _, h := range c.Hosts {
			s.setHost(h, "known", hostReady)
		}
	case "installing", "installing-pending-user-action", "finalizing", "error":
		s.setCluster(c, "cancelled", "Cancelled cluster installation")
		for _, h := range c.Hosts {
			s.setHost(h, "cancelled", "Installation cancelled by user")
		}
	default:
		return 0, nil, failf(http.StatusConflict, "Cluster %s is in %s state, installation cannot be cancelled", c.ID, c.Status)
	}
	return http.StatusAccepted, c.view(), nil
}
