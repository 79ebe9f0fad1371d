package pve

import (
	"fmt"
	"slices"
	"strings"
)

// A storageType is what a plugin can do.
type storageType struct {
	files   bool     // keeps files below a path
	shared  bool     // is one store for all nodes, always
	thick   bool     // takes the room of a volume when it is allocated
	content []string // that it can hold
	formats []string // of disk images; the first one is the default
}

var (
	fileContent = []string{"images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none"}
	fileFormats = []string{"raw", "qcow2", "vmdk"}
	blocks      = []string{"images", "rootdir"}
)

var storageTypes = map[string]storageType{
	"dir":     {files: true, content: fileContent, formats: append(slices.Clone(fileFormats), "subvol")},
	"btrfs":   {files: true, content: fileContent, formats: []string{"raw", "subvol"}},
	"nfs":     {files: true, shared: true, content: fileContent, formats: fileFormats},
	"cifs":    {files: true, shared: true, content: fileContent, formats: fileFormats},
	"cephfs":  {files: true, shared: true, content: []string{"vztmpl", "iso", "backup", "snippets", "import"}, formats: []string{"raw"}},
	"lvm":     {thick: true, content: blocks, formats: []string{"raw", "qcow2"}},
	"lvmthin": {content: blocks, formats: []string{"raw"}},
	"zfspool": {thick: true, content: blocks, formats: []string{"raw", "subvol"}},
	"rbd":     {shared: true, content: blocks, formats: []string{"raw"}},
}

// A Storage is one entry of the storage configuration.
type Storage struct {
	Name     string
	Type     string   // "dir", "nfs", "lvmthin", "zfspool", ...
	Content  []string // "iso", "images", "vztmpl", "backup", ...
	Shared   bool     // one store for all nodes; nfs, cifs, cephfs and rbd always are
	Size     int64    // bytes on each node that has a store of its own, default 1 TiB
	Used     int64    // bytes of it that are taken by what is not simulated
	Nodes    []string // that have it; none: all
	Disabled bool     //
	Pools    []string // it is a member of
}

// withDefaults completes the entry, or says what its type cannot do.
func (s Storage) withDefaults() (Storage, error) {
	t, ok := storageTypes[s.Type]
	if !ok {
		return s, fmt.Errorf("storage %s: type %q is not simulated", s.Name, s.Type)
	}
	for _, kind := range s.Content {
		if !slices.Contains(t.content, kind) {
			return s, fmt.Errorf("storage %s: type %s holds no %s", s.Name, s.Type, kind)
		}
	}
	s.Shared = s.Shared || t.shared
	return s, nil
}

// files says whether the storage keeps plain files in a directory.
func (s Storage) files() bool { return storageTypes[s.Type].files }

func (s Storage) size() int64 {
	if s.Size == 0 {
		return 1 << 40
	}
	return s.Size
}

// on says whether the node has the storage.
func (s Storage) on(node string) bool {
	return !s.Disabled && (len(s.Nodes) == 0 || slices.Contains(s.Nodes, node))
}

// usable is the error of using the storage on a node that does not have it.
func (s Storage) usable(node string) error {
	switch {
	case s.Disabled:
		return die("storage '%s' is disabled", s.Name)
	case !s.on(node):
		return die("storage '%s' is not available on node '%s'", s.Name, node)
	}
	return nil
}

// format is that of a new disk image; before 9 LVM had raw only.
func (s Storage) format(wanted string, r release) (string, error) {
	formats := storageTypes[s.Type].formats
	if s.Type == "lvm" && r.before(9, 0) {
		formats = formats[:1]
	}
	switch {
	case wanted == "":
		return formats[0], nil
	case !slices.Contains(formats, wanted):
		return "", die("unsupported format '%s' at /usr/share/perl5/PVE/Storage.pm line 1036.", wanted)
	}
	return wanted, nil
}

// noRoom is what an allocation of size bytes says when there is no room for
// it.
func (s Storage) noRoom(volume string, size, free int64) error {
	switch s.Type {
	case "lvm":
		const extent = 4 << 20
		return die("lvcreate '%s/%s' error:   Volume group \"%s\" has insufficient free space (%d extents): %d required.",
			s.Name, volume, s.Name, free/extent, (size+extent-1)/extent)
	case "lvmthin":
		return die("lvcreate 'pve/%s' error:   Cannot create new thin volume, free space in thin pool pve/data reached threshold.", volume)
	case "zfspool":
		return die("zfs error: cannot create '%s/%s': out of space", s.Name, volume)
	case "rbd":
		return die("rbd create '%s' error: rbd: create error: (28) No space left on device", volume)
	}
	path := "/mnt/pve/" + s.Name
	if !s.Shared {
		path = "/var/lib/vz"
	}
	return die("unable to create image: qemu-img: %s/images/%s: Could not resize file: No space left on device", path, volume)
}

// describeFormats is what a storage list says with format=1: the old way, and
// the one that release 9 added.
func (s Storage) describeFormats(entry map[string]any, r release) {
	t := storageTypes[s.Type]
	valid := map[string]int{}
	for _, f := range t.formats {
		valid[f] = 1
	}
	if r.before(9, 0) {
		if s.Type == "lvm" {
			delete(valid, "qcow2")
		}
	} else {
		supported := slices.Sorted(slices.Values(t.formats))
		entry["formats"] = map[string]any{"supported": supported, "default": t.formats[0]}
	}
	entry["format"] = []any{valid, t.formats[0]}
}

// kinds is the content as the server lists it.
func (s Storage) kinds() string { return strings.Join(s.Content, ",") }
