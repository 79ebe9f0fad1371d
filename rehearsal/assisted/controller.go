package assisted

import (
	"net/http"
	"slices"
)

// What the assisted installer's controller inside the new cluster reports.

func builtinOperators(clusterID string) []operator {
	var list []operator
	for _, name := range []string{"console", "cvo"} {
		list = append(list, operator{ClusterID: clusterID, Name: name, Type: "builtin", Timeout: 3600})
	}
	return list
}

func (s *Service) getOperators(r *http.Request) (int, any, error) {
	c, err := s.clusterOf(r)
	if err != nil {
		return 0, nil, err
	}
	name := r.URL.Query().Get("operator_name")
	list := []operator{}
	for _, o := range c.MonitoredOperators {
		if name == "" || o.Name == name {
			list = append(list, o)
		}
	}
	return http.StatusOK, list, nil
}

type operatorReport struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	Status     string `json:"status"`
	StatusInfo string `json:"status_info"`
}

func (s *Service) putOperator(r *http.Request) (int, any, error) {
	c, err := s.clusterOf(r)
	if err != nil {
		return 0, nil, err
	}
	var p operatorReport
	if err := decode(r, "report-params", &p); err != nil {
		return 0, nil, err
	}
	if err := oneOf("status", p.Status, "failed", "progressing", "available"); err != nil {
		return 0, nil, err
	}
	i := slices.IndexFunc(c.MonitoredOperators, func(o operator) bool { return o.Name == p.Name })
	if i < 0 {
		return 0, nil, failf(http.StatusBadRequest, "Operator %s isn't monitored in cluster %s", p.Name, c.ID)
	}
	o := &c.MonitoredOperators[i]
	o.Version, o.Status, o.StatusInfo, o.StatusUpdatedAt = p.Version, p.Status, p.StatusInfo, now()
	c.countProgress()
	return http.StatusOK, nil, nil
}

func (c *cluster) available() int {
	n := 0
	for _, o := range c.MonitoredOperators {
		if o.Status == "available" {
			n++
		}
	}
	return n
}

func (c *cluster) operatorsAvailable() bool { return c.available() == len(c.MonitoredOperators) }

var finalizingStages = []string{
	"Waiting for cluster operators", "Adding router ca", "Applying olm manifests",
	"Waiting for olm operators csv initialization", "Waiting for olm operators csv",
	"Waiting for OLM operator setup jobs", "Done",
}

func (s *Service) putFinalizing(r *http.Request) (int, any, error) {
	c, err := s.clusterOf(r)
	if err != nil {
		return 0, nil, err
	}
	var p struct {
		Stage string `json:"finalizing_stage"`
	}
	if err := decode(r, "finalizing-progress", &p); err != nil {
		return 0, nil, err
	}
	if err := oneOf("finalizing_stage", p.Stage, finalizingStages...); err != nil {
		return 0, nil, err
	}
	if c.Status != "finalizing" {
		return 0, nil, failf(http.StatusConflict, "Cluster %s in status %s, cannot update finalizing progress", c.ID, c.Status)
	}
	c.Progress.FinalizingStage = p.Stage
	return http.StatusOK, nil, nil
}

func (s *Service) postComplete(r *http.Request) (int, any, error) {
	c, err := s.clusterOf(r)
	if err != nil {
		return 0, nil, err
	}
	var p struct {
		Success *bool          `json:"is_success"`
		Info    string         `json:"error_info"`
		Data    map[string]any `json:"data"`
	}
	if err := decode(r, "completion-params", &p); err != nil {
		return 0, nil, err
	}
	if p.Success == nil {
		return 0, nil, schemaf(602, "is_success in body is required")
	}
	if c.Status != "finalizing" {
		return 0, nil, failf(http.StatusConflict, "Cluster %s is in %s state, it can be completed only in finalizing", c.ID, c.Status)
	}
	c.completed = *p.Success
	if !*p.Success {
		s.setCluster(c, "error", p.Info)
	}
	return http.StatusAccepted, c.view(), nil
}
