package assisted

import "time"

// The stages of an installation, in order, by what a host becomes.
var (
	masterStages = []string{
		"Starting installation", "Installing", "Writing image to disk", "Copying registry data to disk",
		"Rebooting", "Configuring", "Joined", "Done",
	}
	bootstrapStages = []string{
		"Starting installation", "Installing", "Writing image to disk", "Copying registry data to disk",
		"Waiting for control plane", "Waiting for bootkube", "Waiting for controller",
		"Rebooting", "Configuring", "Joined", "Done",
	}
	workerStages = []string{
		"Starting installation", "Installing", "Writing image to disk", "Waiting for control plane",
		"Rebooting", "Waiting for ignition", "Configuring", "Joined", "Done",
	}
	singleStages = []string{
		"Starting installation", "Installing", "Waiting for bootkube", "Writing image to disk",
		"Copying registry data to disk", "Rebooting", "Joined", "Done",
	}
	allStages = append([]string{"Waiting for ignition", "Failed"}, bootstrapStages...)
)

func (h *host) stages(c *cluster) []string {
	switch {
	case c.ControlPlaneCount == 1 && h.Bootstrap:
		return singleStages
	case h.Bootstrap:
		return bootstrapStages
	case h.role() == "worker":
		return workerStages
	}
	return masterStages
}

// stageLimit is how long a host may stay in a stage. The reboot of a single
// node takes longer, for its control plane begins with it.
func stageLimit(c *cluster, stage string) time.Duration {
	switch stage {
	case "Starting installation", "Writing image to disk":
		return 30 * time.Minute
	case "Rebooting":
		if c.ControlPlaneCount == 1 {
			return 80 * time.Minute
		}
		return 40 * time.Minute
	case "Copying registry data to disk":
		return 90 * time.Minute
	case "Waiting for ignition":
		return 24 * time.Hour
	}
	return time.Hour
}
