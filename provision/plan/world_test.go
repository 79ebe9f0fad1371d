package plan

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/spec"
)

const full = "mycluster.lab.test"

// cluster has that many nodes with static addresses, from 10.0.1.0 on.
func cluster(control, workers int) spec.Cluster {
	lan := spec.Network{Label: "lan", Bridge: "vmbr0", CIDR: netip.MustParsePrefix("10.0.0.0/16"), Gateway: netip.MustParseAddr("10.0.0.1")}
	c := spec.Cluster{
		Name: "mycluster", Domain: "lab.test", Release: "okd-4.20", Network: lan,
		Provider: spec.Provider{Type: "proxmox", Label: "home"}, Installer: spec.Installer{Type: "assisted"},
		Services: spec.Services{Address: netip.MustParseAddr("10.0.0.210")},
	}
	for i := range control + workers {
		role, name := spec.ControlPlane, fmt.Sprintf("control-%d", i)
		if i >= control {
			role, name = spec.Worker, fmt.Sprintf("worker-%d", i-control)
		}
		id := uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name+"."+full))
		c.Nodes = append(c.Nodes, spec.Node{
			Name: name, Full: name + "." + full, Role: role, CPUs: 8, Memory: 16384, Disk: 250, Network: lan,
			Address: netip.AddrFrom4([4]byte{10, 0, byte(1 + i/250), byte(1 + i%250)}), UUID: id,
			MAC: append(net.HardwareAddr{0x02}, id[:5]...),
		})
	}
	return c
}

// byDHCP is c with addresses that nobody knows yet.
func byDHCP(c spec.Cluster) spec.Cluster {
	c.Nodes = slices.Clone(c.Nodes)
	for i := range c.Nodes {
		c.Nodes[i].Address = netip.Addr{}
	}
	return c
}

// served is what the services of c will serve.
func served(c spec.Cluster) services.Document {
	v := services.View{Name: c.Name, Domain: c.Domain, Services: c.Services.Address, Network: c.Network.CIDR, Serial: 1}
	for _, n := range c.Nodes {
		v.Nodes = append(v.Nodes, services.Node{Name: n.Name, Full: n.Full, ControlPlane: n.Role == spec.ControlPlane, Address: n.Address})
	}
	return services.Build(v)
}

// serving is served at another serial, as what runs has it.
func serving(c spec.Cluster) *services.Document {
	d := served(c)
	d.Serial = 7
	for i := range d.DNS.Zones {
		d.DNS.Zones[i].Serial = 7
	}
	return &d
}

// machine is the one that exists for n, as planned.
func machine(n spec.Node, id int) provider.Machine {
	return provider.Machine{
		Node: n.Name, Name: n.Full, Mark: provider.Mark{Cluster: full, ID: "c1"}, ID: fmt.Sprint(id), Place: "pve", Power: provider.PowerOn,
		UUID: n.UUID, NICs: []provider.NIC{{MAC: n.MAC}}, CPUs: n.CPUs, Memory: n.Memory, Disk: n.Disk,
	}
}

// whole is a world in which everything of c exists; the machines are listed
// backwards, for no order may depend on the provider's.
func whole(c spec.Cluster) Observed {
	o := Observed{Recorded: map[string]bool{}, Made: map[string]bool{}, Services: true, Served: serving(c),
		Registered: true, Image: true, Installed: true, Ready: true}
	for i, n := range c.Nodes {
		o.Recorded[n.Name], o.Made[n.Name] = true, true
		o.Machines = append(o.Machines, machine(n, 100+i))
	}
	slices.Reverse(o.Machines)
	return o
}

// building is the world of whole before the installation was done.
func building(c spec.Cluster) Observed {
	o := whole(c)
	o.Installed, o.Ready = false, false
	return o
}

// change has f change the machine of a node of o; nil takes it away.
func (o Observed) change(node string, f func(*provider.Machine)) Observed {
	o.Machines = slices.Clone(o.Machines)
	i := slices.IndexFunc(o.Machines, func(m provider.Machine) bool { return m.Node == node })
	if f == nil {
		o.Machines = slices.Delete(o.Machines, i, i+1)
		return o
	}
	f(&o.Machines[i])
	return o
}

// drifted is a world in which somebody changed what they could.
func drifted(c spec.Cluster) Observed {
	o := whole(c)
	o.Repairs = true
	o = o.change("control-0", func(m *provider.Machine) { m.Adrift = []string{`its boot order is "net0", not "scsi0;ide2"`} })
	o = o.change("control-1", func(m *provider.Machine) { m.Memory, m.Power = 8192, provider.PowerOff })
	o = o.change("control-2", func(m *provider.Machine) { m.Memory, m.CPUs = 8192, 4 })
	o = o.change("worker-0", func(m *provider.Machine) { m.Disk, m.UUID, m.NICs = 120, uuid.Max, nil })
	records := &o.Served.DNS.Zones[0].Records
	(*records)[0].Data = "10.0.0.211"
	o.Served.Balancer.Frontends[0].Members = o.Served.Balancer.Frontends[0].Members[:2]
	o.Release = "4.19.11"
	return o
}

// strange is a world with machines that the spec has not.
func strange(c spec.Cluster) Observed {
	o := whole(c)
	for i, name := range []string{"worker-7", "worker-7", "worker-0"} {
		m := machine(c.Nodes[len(c.Nodes)-1], 900-i)
		m.Node, m.Name, m.UUID = name, name+"."+full, uuid.Max
		o.Machines = append(o.Machines, m)
	}
	o.Machines = slices.DeleteFunc(o.Machines, func(m provider.Machine) bool { return m.Node == "worker-0" && m.ID == "103" })
	o.Made["worker-9"], o.Recorded["worker-9"] = true, true
	return o
}

// half is a world in which a run was interrupted and its state lost in part.
func half(c spec.Cluster) Observed {
	o := building(c)
	o.Machines = o.Machines[1:4]
	o.Recorded = map[string]bool{"control-0": true, "control-1": true, "control-2": true}
	o.Made, o.Image, o.Served = map[string]bool{"control-0": true, "control-1": true}, false, nil
	return o
}

// withMachine is c with its services on a machine of their own.
func withMachine(c spec.Cluster) spec.Cluster {
	n := c.Nodes[0]
	id := uuid.NewSHA1(uuid.NameSpaceDNS, []byte("services."+full))
	n.Name, n.Full, n.Role, n.CPUs, n.Memory, n.Disk = "services", "services."+full, spec.ServicesRole, 2, 2048, 20
	n.Address, n.UUID, n.MAC = c.Services.Address, id, append(net.HardwareAddr{0x02}, id[:5]...)
	c.Services.Mode, c.Services.Machine = spec.ServicesVM, &spec.ServicesMachine{Node: n, User: "slipway"}
	return c
}

// serves adds the services machine of c to a world.
func (o Observed) serves(c spec.Cluster) Observed {
	m := machine(c.Services.Machine.Node, 99)
	o.Machines = append(slices.Clone(o.Machines), m)
	o.Recorded, o.Made = maps.Clone(o.Recorded), maps.Clone(o.Made)
	o.Recorded[m.Node], o.Made[m.Node] = true, true
	return o
}
