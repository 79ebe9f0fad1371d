package proxmox

import (
	"fmt"
	"slices"
	"strings"
)

// holds says what a type of storage can keep at all, for types whose storages
// cannot be told to take everything (PVE::Storage::*Plugin, plugindata).
var holds = map[text][]string{
	"cephfs": {"iso", "import"}, "pbs": nil, "esxi": nil,
	"lvm": {"images"}, "lvmthin": {"images"}, "zfspool": {"images"}, "rbd": {"images"}, "zfs": {"images"}, "iscsi": {"images"}, "iscsidirect": {"images"},
}

// blocks are the types whose disks are raw.
var blocks = []text{"lvmthin", "zfspool", "rbd", "zfs", "iscsi", "iscsidirect"}

func (s pveStorage) takes(content string) bool {
	return slices.Contains(strings.Split(string(s.Content), ","), content)
}

func (s pveStorage) couldTake(content string) bool {
	able, limited := holds[s.Type]
	return !limited || slices.Contains(able, content)
}

// A purpose is what a storage is wanted for.
type purpose struct{ content, things, key string }

var (
	forDisks  = purpose{"images", "disks", "disk"}
	forImages = purpose{"iso", "ISO images", "iso"}
	forCloud  = purpose{"import", "disk images to import", "iso"}
)

// checkStorages looks for both storages on each node.
func (p *Provider) checkStorages(s *survey) {
	for _, node := range s.nodes {
		s.checkStorage(string(node.Name), p.cfg.Storage.Disk, forDisks)
		s.checkStorage(string(node.Name), p.cfg.Storage.ISO, forImages)
		s.checkFormat(string(node.Name), p.cfg.Storage)
		if s.want.Cloud {
			s.checkStorage(string(node.Name), p.cfg.Storage.ISO, forCloud)
		}
	}
	s.checkShared(p.cfg.Storage.ISO)
}

func (s *survey) checkStorage(node, name string, want purpose) {
	var fit []string
	for _, have := range s.storages[node] {
		switch {
		case have.takes(want.content) && bool(have.Active):
			fit = append(fit, string(have.Name))
		case string(have.Name) == name && have.takes(want.content):
			s.fatal(fmt.Sprintf("see `pvesm status` on node %s", node), "storage %q is not active on node %q", name, node)
			return
		case string(have.Name) == name && have.couldTake(want.content):
			s.fatal(fmt.Sprintf("add it: pvesm set %s --content %s,%s", name, have.Content, want.content),
				"storage %q on node %q does not take %s", name, node, want.things)
			return
		}
	}
	if !s.rights.has("/storage/"+name, "Datastore.Audit") && !s.lists(node, name) {
		return // whether it is there cannot be known: the lack of rights is told
	}
	if !slices.Contains(fit, name) {
		s.fatal(fmt.Sprintf("set storage = { %s = … } to one of: %s", want.key, strings.Join(fit, ", ")), "%s", s.unfit(node, name, want))
	}
}

func (s *survey) unfit(node, name string, want purpose) string {
	for _, have := range s.storages[node] {
		if string(have.Name) == name {
			return fmt.Sprintf("storage %q on node %q is of type %s, which cannot hold %s", name, node, have.Type, want.things)
		}
	}
	return fmt.Sprintf("storage %q is not on node %q", name, node)
}

func (s *survey) lists(node, name string) bool {
	return slices.ContainsFunc(s.storages[node], func(have pveStorage) bool { return string(have.Name) == name })
}

func (s *survey) checkFormat(node string, want Storage) {
	for _, have := range s.storages[node] {
		if string(have.Name) == want.Disk && want.Format == "qcow2" && slices.Contains(blocks, have.Type) {
			s.fatal("leave format out of storage", "storage %q on node %q is of type %s, whose disks are raw and never qcow2", want.Disk, node, have.Type)
		}
	}
}

// checkShared tells that a boot image goes to each node, which takes longer
// and ties a machine to its node as long as the image is in the tray.
func (s *survey) checkShared(iso string) {
	if there := s.each(iso); len(there) > 1 {
		s.warn("a storage that the nodes share (NFS, CIFS, CephFS) gets it once",
			"storage %q is another one on each of %d nodes: the boot image is uploaded to each that needs it", iso, len(there))
	}
}
