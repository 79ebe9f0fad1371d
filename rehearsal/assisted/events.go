package assisted

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// An event is the swagger definition of the same name.
type event struct {
	Name       string    `json:"name"`
	ClusterID  string    `json:"cluster_id,omitempty"`
	HostID     string    `json:"host_id,omitempty"`
	InfraEnvID string    `json:"infra_env_id,omitempty"`
	Severity   string    `json:"severity"`
	Category   string    `json:"category"`
	Message    string    `json:"message"`
	Time       timestamp `json:"event_time"`
}

func (s *Service) event(c *cluster, h *host, name, severity, format string, args ...any) {
	e := event{Name: name, Severity: severity, Category: "user", Message: fmt.Sprintf(format, args...), Time: now()}
	if c != nil {
		e.ClusterID = c.ID
	}
	if h != nil {
		e.HostID, e.InfraEnvID = h.ID, h.InfraEnvID
	}
	s.events = append(s.events, e)
}

func severity(status string) string {
	switch status {
	case "error":
		return "critical"
	case "cancelled", "disconnected", "installing-pending-user-action":
		return "warning"
	}
	return "info"
}

func (s *Service) getEvents(r *http.Request) (int, any, error) {
	q := r.URL.Query()
	list := []event{}
	for _, e := range s.events {
		if matches(q.Get("cluster_id"), e.ClusterID) && matches(q.Get("host_id"), e.HostID) &&
			matches(q.Get("infra_env_id"), e.InfraEnvID) && within(q.Get("severities"), e.Severity) {
			list = append(list, e)
		}
	}
	if q.Get("order") == "descending" {
		slices.Reverse(list)
	}
	if offset, err := strconv.Atoi(q.Get("offset")); err == nil {
		list = list[min(max(offset, 0), len(list)):]
	}
	if limit, err := strconv.Atoi(q.Get("limit")); err == nil && limit >= 0 {
		list = list[:min(limit, len(list))]
	}
	return http.StatusOK, list, nil
}

func matches(want, have string) bool { return want == "" || want == have }

func within(list, have string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), have)
}
