package proxmox

import (
	"context"
	"fmt"
	"slices"

	"github.com/slipway-project/slipway/provision/provider"
)

const (
	mebibyte = int64(1) << 20
	gibibyte = int64(1) << 30
)

// checkGuests looks for names and hardware addresses that others have. Only
// running guests hold an address; of the others the names are enough.
func (p *Provider) checkGuests(ctx context.Context, s *survey) {
	near := slices.DeleteFunc(slices.Clone(s.guests), func(g guest) bool {
		if p.likely(g) && s.wants(string(g.Name)) {
			s.here[string(g.Name)] = true
			return true
		}
		return g.Type != "qemu" || g.Status != "running" && !s.wants(string(g.Name))
	})
	read, err := p.readAll(ctx, near)
	if err != nil {
		s.failed(err)
		return
	}
	for _, v := range read {
		for _, m := range s.want.Machines {
			s.checkGuest(v, m)
		}
	}
}

// likely tells guests that look like ours and can clash with nobody but
// themselves; a look at each would cost a call.
func (p *Provider) likely(g guest) bool {
	return g.Type == "qemu" && p.cfg.VMIDs.holds(int(g.VMID)) && string(g.Pool) == p.cfg.Pool && slices.Contains(tagList(g.Tags), ourTag)
}

func (s *survey) wants(name string) bool {
	return slices.ContainsFunc(s.want.Machines, func(m provider.Machine) bool { return m.Name == name })
}

func (s *survey) checkGuest(v vm, m provider.Machine) {
	if v.belongsTo(m) {
		s.here[m.Name] = true
		return
	}
	name := string(v.config["name"])
	if name == m.Name {
		s.warn("rename it or remove it, unless the two are to stand side by side",
			"VM %d on node %q is named %s too, and is not slipway's", v.id, v.node, name)
	}
	for _, theirs := range v.addresses() {
		if slices.Contains(s.want.Addresses[m.Name], theirs) {
			s.fatal("give the node another address, or that machine",
				"address %s of %s is that of VM %d (%s) on node %q, by its cloud-init", theirs, m.Name, v.id, name, v.node)
		}
	}
	for _, theirs := range v.nics() {
		for _, ours := range m.NICs {
			if len(ours.MAC) > 0 && theirs.MAC.String() == ours.MAC.String() {
				s.fatal("give the node another address with macs, or stop that machine",
					"MAC address %s of %s belongs to VM %d (%s) on node %q", ours.MAC, m.Name, v.id, name, v.node)
			}
		}
	}
}

// checkRoom compares what is still to be made with what is free.
func (p *Provider) checkRoom(ctx context.Context, s *survey) {
	s.checkCPUs()
	s.checkMemory()
	p.checkDiskSpace(s)
	p.checkImageSpace(ctx, s)
}

// checkCPUs finds machines with more vCPUs than any node has threads, which
// PVE refuses to start. Nodes that hide their size are not judged.
func (s *survey) checkCPUs() {
	most := int64(0)
	for _, node := range s.nodes {
		if node.CPUs == 0 {
			return
		}
		most = max(most, int64(node.CPUs))
	}
	for _, m := range s.want.Machines {
		if int64(m.CPUs) > most {
			s.fatal(fmt.Sprintf("write cpus = %d or less", most),
				"%s asks for %d vCPUs, and no node has more than %d threads", m.Name, m.CPUs, most)
		}
	}
}

func (s *survey) checkMemory() {
	var size, free, asked, most int64
	for _, node := range s.nodes {
		if node.Memory == 0 {
			return
		}
		most = max(most, int64(node.Memory))
		size += int64(node.Memory)
		free += int64(node.Memory - node.Used)
	}
	for _, m := range s.missing() {
		asked += int64(m.Memory) * mebibyte
		if len(s.nodes) > 1 && int64(m.Memory)*mebibyte > most {
			s.fatal("write less for memory", "%s asks for %d MiB of memory, and no node has more than %d MiB", m.Name, m.Memory, most/mebibyte)
		}
	}
	const what = "the machines ask for %d MiB of memory, and of %s's %d MiB only %d MiB are free"
	args := []any{asked / mebibyte, nodeList(s.nodes), size / mebibyte, max(0, free) / mebibyte}
	switch {
	case asked > size:
		s.fatal("ask for fewer or smaller machines, or more nodes", what, args...)
	case asked > free:
		s.warn("stop other guests, or expect the nodes to swap", what, args...)
	}
}

// missing lists the wanted machines that are not there yet.
func (s *survey) missing() []provider.Machine {
	return slices.DeleteFunc(slices.Clone(s.want.Machines), func(m provider.Machine) bool { return s.here[m.Name] })
}

// checkDiskSpace only warns: disks are thin on most storages.
func (p *Provider) checkDiskSpace(s *survey) {
	var free, asked int64
	for _, have := range s.each(p.cfg.Storage.Disk) {
		free += int64(have.Free)
	}
	for _, m := range s.missing() {
		asked += int64(m.Disk) * gibibyte
	}
	if asked > free && free > 0 {
		s.warn("the installation itself needs about a third of it, if the storage allocates thinly",
			"the disks add up to %d GiB, and storage %q has %d GiB free", asked/gibibyte, p.cfg.Storage.Disk, free/gibibyte)
	}
}

// each returns a storage as the nodes see it, once when they share it.
func (s *survey) each(name string) map[string]pveStorage {
	found := make(map[string]pveStorage)
	for _, node := range s.nodes {
		for _, have := range s.storages[string(node.Name)] {
			if string(have.Name) != name {
				continue
			}
			if have.Shared {
				return map[string]pveStorage{string(node.Name): have}
			}
			found[string(node.Name)] = have
		}
	}
	return found
}

func (p *Provider) checkImageSpace(ctx context.Context, s *survey) {
	for node, have := range s.each(p.cfg.Storage.ISO) {
		if s.want.ImageBytes <= int64(have.Free) {
			continue
		}
		ref := p.cfg.Storage.ISO + ":iso/" + s.want.Image
		if there, err := p.lists(ctx, node, ref); err == nil && there {
			continue
		}
		s.fatal(fmt.Sprintf("remove images that are no longer used: pvesm list %s --content iso", p.cfg.Storage.ISO),
			"the boot image has %d MiB, and storage %q on node %q has %d MiB free",
			s.want.ImageBytes/mebibyte, p.cfg.Storage.ISO, node, int64(have.Free)/mebibyte)
	}
}
