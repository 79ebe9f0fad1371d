package node

import (
	"context"
	"fmt"
	"net/http"
	"slices"
)

// runController is assisted-installer-controller and the node lifecycle
// controller, on the host that leads.
func (i *installed) runController(ctx context.Context) {
	c := i.cluster
	installer := i.service(c.reporter)
	for i.sleep(controllerEvery) == nil {
		if !c.leads(i.member.HostID) || c.quorum() != nil {
			continue
		}
		c.expireNodes(max(i.host.hw.Speed.Scale(nodeGrace), minGrace))
		if c.completed() {
			continue
		}
		c.approvePending("AssistedInstallerController")
		if err := c.report(ctx, installer); err != nil {
			i.log("kubelet", "assisted-installer-controller: %v", err)
		}
	}
}

// report tells the installer service how the cluster gets on, and that it is
// complete. It is at its end once no host is left to report.
func (c *cluster) report(ctx context.Context, s *service) error {
	left, err := c.reportHosts(ctx, s)
	if err != nil {
		return err
	}
	if !c.reported() {
		if err := c.reportCompletion(ctx, s); err != nil {
			return err
		}
	}
	if left == 0 && c.reported() {
		c.setCompleted()
	}
	return nil
}

// reportCompletion ends the finalizing when all that is monitored is available.
func (c *cluster) reportCompletion(ctx context.Context, s *service) error {
	done, err := c.reportOperators(ctx, s)
	if err != nil || !done {
		return err
	}
	for _, stage := range []string{"Adding router ca", "Applying olm manifests", "Done"} {
		if err := s.call(ctx, http.MethodPut, c.path("/progress"), map[string]string{"finalizing_stage": stage}, nil); err != nil {
			return err
		}
	}
	if err := s.call(ctx, http.MethodPost, c.path("/actions/complete-installation"), map[string]any{"is_success": true, "error_info": ""}, nil); err != nil {
		return err
	}
	c.setReported()
	return nil
}

func (c *cluster) path(rest string) string { return "/clusters/" + c.bundle.ClusterID + rest }

// A reportedHost is a host as the service lists it.
type reportedHost struct {
	ID       string   `json:"id"`
	Status   string   `json:"status"`
	Stages   []string `json:"progress_stages"`
	Progress struct {
		Stage string `json:"current_stage"`
	} `json:"progress"`
}

// reportHosts moves hosts that have left their live system through the stages
// that only the cluster can see. It returns how many are still on their way.
func (c *cluster) reportHosts(ctx context.Context, s *service) (left int, err error) {
	var hosts []reportedHost
	if err := s.call(ctx, http.MethodGet, "/infra-envs/"+s.InfraEnvID+"/hosts", nil, &hosts); err != nil {
		return 0, err
	}
	for _, h := range hosts {
		m, err := c.bundle.member(h.ID)
		if err != nil || h.Status == "installed" || h.Status == "error" {
			continue
		}
		left++
		for _, stage := range c.stagesOf(m, h) {
			if err := s.progress(ctx, h.ID, stage, ""); err != nil {
				return left, fmt.Errorf("host %s: %w", m.Hostname, err)
			}
		}
	}
	return left, nil
}

// stagesOf lists the stages that a host has reached and not reported.
func (c *cluster) stagesOf(m Member, h reportedHost) []string {
	current, rebooting := slices.Index(h.Stages, h.Progress.Stage), slices.Index(h.Stages, stageRebooting)
	target := slices.Index(h.Stages, c.reached(m))
	if rebooting < 0 || current < rebooting || target <= current {
		return nil
	}
	return h.Stages[current+1 : target+1]
}

// reached is the stage that the cluster sees a host in.
func (c *cluster) reached(m Member) string {
	o, joined := c.store.get(nodes, "", m.Hostname)
	switch {
	case joined && nodeReady(o):
		return stageDone
	case joined:
		return stageJoined
	case c.hasFetched(m.HostID):
		return stageConfiguring
	case m.Role == "worker":
		return stageIgnition
	}
	return stageRebooting
}

type monitored struct {
	Name    string `json:"name"`
	Status  string `json:"status"`
	Version string `json:"version"`
	Info    string `json:"status_info,omitempty"`
}

// reportOperators reports what the service monitors; done is true once all of
// it is available and reported.
func (c *cluster) reportOperators(ctx context.Context, s *service) (done bool, err error) {
	var list []monitored
	if err := s.call(ctx, http.MethodGet, c.path("/monitored-operators"), nil, &list); err != nil {
		return false, err
	}
	done = true
	for _, o := range list {
		status := "progressing"
		if c.monitoredAvailable(o.Name) {
			status = "available"
		}
		done = done && status == "available"
		if status == o.Status {
			continue
		}
		if err := s.call(ctx, http.MethodPut, c.path("/monitored-operators"), monitored{Name: o.Name, Status: status, Version: c.bundle.Release}, nil); err != nil {
			return false, err
		}
	}
	return done, nil
}

func (c *cluster) monitoredAvailable(name string) bool {
	if name == "cvo" {
		return c.available(versions, "version")
	}
	return c.available(operators, name)
}
