package spec

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
)

// A minimum is what the installers ask of a machine: HW_VALIDATOR_REQUIREMENTS
// of assisted-service, whose disks are in decimal GB: 94 GiB have 100 GB.
type minimum struct {
	what               string
	cpus, memory, disk int // memory in MiB, disk in GiB
}

var (
	controlMinimum = minimum{"control plane node", 4, 16 << 10, 94}
	workerMinimum  = minimum{"worker", 2, 8 << 10, 94}
	singleMinimum  = minimum{"single-node cluster", 8, 16 << 10, 94}
)

func (l *loader) checkHardware(c *cluster, single bool) {
	for _, m := range c.machines {
		for _, n := range m.nodes {
			switch {
			case n.Role == Worker:
				l.checkMinimum(m, n, workerMinimum)
			case single:
				l.checkMinimum(m, n, singleMinimum)
			default:
				l.checkMinimum(m, n, controlMinimum)
			}
		}
	}
}

func (l *loader) checkMinimum(m *machines, n *node, least minimum) {
	l.atLeast(m.raw.CPUs, n, n.CPUs, least.cpus, "vCPU", least.what)
	l.atLeast(m.raw.Memory, n, n.Memory, least.memory, "MiB", least.what)
	l.atLeast(m.raw.Disk, n, n.Disk, least.disk, "GiB", least.what)
}

// atLeast needs no place for defaults: they are above every minimum.
func (l *loader) atLeast(a *hcl.Attribute, n *node, got, least int, unit, what string) {
	if a == nil || got >= least {
		return
	}
	who := "this"
	if varies(a) {
		who = fmt.Sprintf("node %q", n.Name)
	}
	l.errorf(a.Expr.Range(), "Not enough "+a.Name, "A %s needs at least %d %s, and %s has %d %s. Write %s = %d or more.", what, least, unit, who, got, unit, a.Name, least)
}
