package assisted

import (
	"encoding/json"
	"net/http"
	"slices"
)

// A reply is the swagger definition "step-reply".
type reply struct {
	Type     string `json:"step_type"`
	ID       string `json:"step_id"`
	ExitCode int    `json:"exit_code"`
	Output   string `json:"output"`
	Error    string `json:"error"`
}

func (s *Service) postReply(r *http.Request) (int, any, error) {
	h, err := s.hostOf(r)
	if err != nil {
		return 0, nil, err
	}
	var p reply
	if err := decode(r, "reply", &p); err != nil {
		return 0, nil, err
	}
	h.CheckedInAt = now()
	if p.ExitCode != 0 {
		s.failed(h, p)
		return http.StatusNoContent, nil, nil
	}
	if err := s.report(h, p); err != nil {
		return 0, nil, failf(http.StatusBadRequest, "reply %s: %v", p.Type, err)
	}
	return http.StatusNoContent, nil, nil
}

// failed is a step that did not work out: fatal for an installation.
func (s *Service) failed(h *host, p reply) {
	switch {
	case p.Type == "install" && slices.Contains([]string{"installing", "installing-in-progress"}, h.Status):
		s.setHost(h, "error", "installation command failed")
	case p.Type == "installation-disk-speed-check":
		h.diskSpeed = &diskSpeed{Path: h.DiskPath, ExitCode: p.ExitCode}
	}
	s.event(s.clusters[h.ClusterID], h, "host_step_failed", "warning", "Host %s: step %s failed with exit code %d", h.nameForMessages(), p.Type, p.ExitCode)
}

func (s *Service) report(h *host, p reply) error {
	output := []byte(p.Output)
	switch p.Type {
	case "inventory":
		return s.reportInventory(h, output)
	case "domain-resolution":
		return h.reportDomains(output)
	case "ntp-synchronizer":
		return h.reportNTP(output)
	case "installation-disk-speed-check":
		return h.reportDiskSpeed(output)
	case "container-image-availability":
		return h.reportImages(output)
	}
	return nil
}

// reportInventory keeps what the agent says of its hardware, gives disks
// their ids and judges which may be installed to.
func (s *Service) reportInventory(h *host, output []byte) error {
	var i inventory
	if err := json.Unmarshal(output, &i); err != nil {
		return err
	}
	for n := range i.Disks {
		s.config.Minimum.judge(&i.Disks[n])
	}
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	h.inventory, h.Inventory = &i, string(text)
	if fit := i.installable(s.config.Minimum.disk()); h.DiskPath == "" && len(fit) > 0 {
		h.choose(fit[0].Path)
	}
	h.UpdatedAt = now()
	return nil
}

func (h *host) reportDomains(output []byte) error {
	var p struct {
		Resolutions []resolution `json:"resolutions"`
	}
	if err := json.Unmarshal(output, &p); err != nil {
		return err
	}
	h.domains, h.Domains = append([]resolution{}, p.Resolutions...), string(output)
	return nil
}

func (h *host) reportNTP(output []byte) error {
	var p struct {
		Sources []ntpSource `json:"ntp_sources"`
	}
	if err := json.Unmarshal(output, &p); err != nil {
		return err
	}
	text, err := json.Marshal(p.Sources)
	if err != nil {
		return err
	}
	h.ntp, h.NTPSources = append([]ntpSource{}, p.Sources...), string(text)
	return nil
}

func (h *host) reportDiskSpeed(output []byte) error {
	var p struct {
		Path   string `json:"path"`
		Millis int64  `json:"io_sync_duration"`
	}
	if err := json.Unmarshal(output, &p); err != nil {
		return err
	}
	h.diskSpeed = &diskSpeed{Path: p.Path, Millis: p.Millis}
	text, err := json.Marshal(map[string]any{p.Path: map[string]any{
		"path": p.Path, "disk_speed": map[string]any{"tested": true, "speed_ms": p.Millis},
	}})
	h.DisksInfo = string(text)
	return err
}

func (h *host) reportImages(output []byte) error {
	var p struct {
		Images []struct {
			Name   string `json:"name"`
			Result string `json:"result"`
		} `json:"images"`
	}
	if err := json.Unmarshal(output, &p); err != nil {
		return err
	}
	h.images = map[string]string{}
	for _, image := range p.Images {
		h.images[image.Name] = image.Result
	}
	text, err := json.Marshal(h.images)
	h.ImagesStatus = string(text)
	return err
}
