package provision

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/slipway-project/slipway/provision/provider"
)

// clouds is a script that makes machines of cloud images, and notes what it
// was asked for.
type clouds struct {
	*script
	disks map[string]bool // stored images
	last  provider.CloudConfig
	taken bool // the next id, by somebody else
	asked []string
}

func (c *clouds) Allocate(ctx context.Context, m provider.Machine, avoid []string) (provider.Machine, error) {
	m, err := c.script.Allocate(ctx, m, avoid)
	if len(avoid) > 2 { // that of the node, and those of other tries
		m.Place = "pve2"
	}
	return m, err
}

func (c *clouds) PutDisk(_ context.Context, img provider.Image, places []string, _ func(int64)) (string, error) {
	ref := "local:import/" + img.Name
	c.asked = append(c.asked, fmt.Sprintf("put at %v", places))
	c.disks[ref] = true
	return ref, nil
}

func (c *clouds) Disks(context.Context, provider.Mark) ([]string, error) {
	return slices.Sorted(maps.Keys(c.disks)), nil
}

func (c *clouds) Drop(_ context.Context, ref string) error {
	c.asked = append(c.asked, "drop")
	delete(c.disks, ref)
	return nil
}

func (c *clouds) EnsureCloud(_ context.Context, m provider.Machine, config provider.CloudConfig) (provider.Machine, error) {
	c.last = config
	now, there := c.machines[m.Node]
	switch {
	case c.taken:
		c.taken = false
		return m, provider.ErrTaken
	case !there && !c.disks[config.Image]:
		return m, fmt.Errorf("there is no image %q", config.Image)
	case !there:
		now = m
		now.Power = provider.PowerOff
		c.asked = append(c.asked, "make")
	case now.Disk < m.Disk:
		c.asked = append(c.asked, "grow")
	}
	now.Disk = max(now.Disk, m.Disk)
	c.machines[m.Node] = now
	return now, nil
}

func (c *clouds) PowerOn(_ context.Context, m provider.Machine) error {
	c.asked = append(c.asked, "on")
	now := c.machines[m.Node]
	now.Power = provider.PowerOn
	c.machines[m.Node] = now
	return nil
}
