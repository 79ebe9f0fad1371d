package plan

import (
	"fmt"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

// serveFrom plans for the services machine. It is none of the installation's:
// one that is gone is made again, whatever has become of the cluster.
func (o Observed) serveFrom(s spec.ServicesMachine, found map[string]provider.Machine) Change {
	if m, exists := found[s.Full]; exists {
		return o.keep(s.Node, m, o.settled(s, m), "its disk is smaller than the spec says")
	}
	o.Ready = false
	return o.create(s.Node)
}

// settled is the drift of the services machine, of which only the disk is ever
// changed: it grows.
func (o Observed) settled(s spec.ServicesMachine, m provider.Machine) []Drift {
	const why = "a services machine stays as it was made: remove it in the provider, and `slipway up` makes another"
	but := s.Node
	but.Disk = m.Disk
	all := o.drift(but, m)
	for i := range all {
		all[i].Repairs, all[i].Why = false, why
	}
	if m.Disk == s.Disk {
		return all
	}
	disk := Drift{What: fmt.Sprintf("disk (GiB) is %d, the spec says %d", m.Disk, s.Disk), Why: "disks do not shrink"}
	if m.Disk < s.Disk {
		disk.Repairs, disk.Why = true, ""
	}
	return append(all, disk)
}

// doesForServices is what an action does with the services machine, where it
// is another thing than with those of nodes.
var doesForServices = map[Action]string{
	Create: "fetches the cloud image and stores it until the machine is made of it, and switches the machine on, which cloud-init sets up",
	Update: "has the provider grow its disk",
}
