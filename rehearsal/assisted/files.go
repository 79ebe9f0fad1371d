package assisted

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
)

// States in which no file of the cluster exists yet.
var withoutFiles = []string{"insufficient", "ready", "pending-for-input", "preparing-for-installation"}

func (s *Service) clusterWithFiles(r *http.Request) (*cluster, error) {
	c, err := s.clusterOf(r)
	if err != nil {
		return nil, err
	}
	if c.bundle == nil || slices.Contains(withoutFiles, c.Status) {
		return nil, failf(http.StatusConflict, "cluster %s is in %s state, files can be downloaded only when status is one of: [installing finalizing installed error cancelled]", c.ID, c.Status)
	}
	return c, nil
}

func (s *Service) getCredentialsFile(r *http.Request) (int, any, error) {
	name := r.URL.Query().Get("file_name")
	if err := oneOf("file_name", name, "kubeadmin-password", "kubeconfig", "kubeconfig-noingress"); err != nil {
		return 0, nil, err
	}
	c, err := s.clusterWithFiles(r)
	if err != nil {
		return 0, nil, err
	}
	if name == "kubeadmin-password" {
		return http.StatusOK, []byte(c.bundle.Password), nil
	}
	return http.StatusOK, c.bundle.Kubeconfig, nil
}

func (s *Service) getCredentials(r *http.Request) (int, any, error) {
	c, err := s.clusterOf(r)
	if err != nil {
		return 0, nil, err
	}
	console := func(o operator) bool { return o.Name == "console" && o.Status == "available" }
	if c.bundle == nil || !slices.ContainsFunc(c.MonitoredOperators, console) {
		return 0, nil, failf(http.StatusConflict, "console-url isn't available yet, it will be once console operator is ready as part of cluster finalizing stage")
	}
	return http.StatusOK, map[string]string{
		"username": "kubeadmin", "password": c.bundle.Password,
		"console_url": "https://" + appsName + "." + c.fullName(),
	}, nil
}

func (s *Service) getClusterFile(r *http.Request) (int, any, error) {
	name := r.URL.Query().Get("file_name")
	if err := oneOf("file_name", name, "bootstrap.ign", "master.ign", "worker.ign"); err != nil {
		return 0, nil, err
	}
	c, err := s.clusterWithFiles(r)
	if err != nil {
		return 0, nil, err
	}
	return ignition(c)
}

// getHostIgnition is what a host is installed with: its own pointer to the
// cluster's configuration.
func (s *Service) getHostIgnition(r *http.Request) (int, any, error) {
	h, err := s.hostOf(r)
	if err != nil {
		return 0, nil, err
	}
	c := s.clusters[h.ClusterID]
	if c == nil || c.bundle == nil || slices.Contains(withoutFiles, c.Status) {
		return 0, nil, failf(http.StatusConflict, "ignition of host %s does not exist yet", h.ID)
	}
	return ignition(c)
}

// ignition is a configuration (Ignition 3.2.0) that carries the bundle.
func ignition(c *cluster) (int, any, error) {
	bundle, err := json.Marshal(c.bundle)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{
		"ignition": map[string]string{"version": "3.2.0"},
		"storage": map[string]any{"files": []any{map[string]any{
			"path": "/opt/openshift/rehearsal-bundle.json", "mode": 0o600, "overwrite": true,
			"contents": map[string]string{"source": "data:application/json;base64," + base64.StdEncoding.EncodeToString(bundle)},
		}}},
	}, nil
}
