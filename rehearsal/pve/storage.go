package pve

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	storageParam      = text.as(isStorage)
	storageListParams = schema{"node": nodeParam, "content": text.opt().as(listOf(isContent)), "enabled": boolean.opt(),
		"format": boolean.opt(), "storage": storageParam.opt(), "target": nodeParam.opt()}
	storageConfigParams = schema{"type": text.opt().of("btrfs", "cephfs", "cifs", "dir", "esxi", "iscsi", "iscsidirect", "lvm", "lvmthin", "nfs", "pbs", "rbd", "zfs", "zfspool")}
	storageParams       = schema{"node": nodeParam, "storage": storageParam}
	contentParams       = schema{"node": nodeParam, "storage": storageParam, "content": text.opt().as(isContent), "vmid": vmidParam.opt()}
	deleteVolumeParams  = schema{"node": nodeParam, "storage": storageParam.opt(), "volume": text, "delay": integer.opt().atLeast(1).atMost(30)}
)

func (s *Server) storage(id string) (Storage, error) {
	for _, store := range s.cfg.Storages {
		if store.Name == id {
			return store, nil
		}
	}
	return Storage{}, die("storage '%s' does not exist", id)
}

// dir is where a storage keeps its files: shared and single-node storages
// directly below the configured directory.
func (s *Server) dir(node string, store Storage) string {
	if store.Shared || len(s.cfg.Nodes) == 1 {
		return filepath.Join(s.cfg.Dir, store.Name)
	}
	return filepath.Join(s.cfg.Dir, node, store.Name)
}

// A fileKind is content that is kept as plain files: where, and under which
// names.
type fileKind struct {
	dir  string
	name *regexp.Regexp
}

var fileKinds = map[string]fileKind{
	"iso":    {"template/iso", regexp.MustCompile(`^[^/]+\.(?i:iso|img)$`)},
	"import": {"import", regexp.MustCompile(`^[a-zA-Z0-9\-.+=_]+\.(?:qcow2|raw|vmdk)$`)},
}

func (s *Server) fileDir(node string, store Storage, kind string) string {
	return filepath.Join(s.dir(node, store), fileKinds[kind].dir)
}

// filePath is the path of a volume on the node that is a file, such as
// "iso/x.iso".
func (s *Server) filePath(node, id, name string) (string, error) {
	store, err := s.storage(id)
	if err != nil {
		return "", err
	}
	kind, file, _ := strings.Cut(name, "/")
	if k, ok := fileKinds[kind]; !ok || !k.name.MatchString(file) || !store.files() {
		return "", die("unable to parse volume filename '%s'", name)
	}
	return filepath.Join(s.fileDir(node, store, kind), file), nil
}

// cdPath is the file in a CD drive, "" when the tray is empty.
func (s *Server) cdPath(node string, d drive) string {
	id, name, ok := d.volume()
	if !ok {
		return ""
	}
	path, err := s.filePath(node, id, name)
	if err != nil {
		return ""
	}
	return path
}

// A driveJob is a drive option that is to be made true.
type driveJob struct {
	node           string
	vmid           int
	option, value  string
	defaultStorage string
	volume         string // name of a new volume; "": the next one of the VM's disks
	image          string // that it is imported from
}

// makeDrive allocates a new disk, or finds the size of an existing volume. It
// returns the option as it is stored and the volume it allocated, if any.
func (s *Server) makeDrive(ctx context.Context, j driveJob) (value, allocated string, err error) {
	d, err := parseDrive(j.option, j.value)
	if err != nil {
		return "", "", err
	}
	id, gib, fresh := d.fresh(j.defaultStorage)
	switch {
	case fresh && d["import-from"] != "":
		return s.importDisk(ctx, j, d, id)
	case fresh:
		return s.allocate(ctx, j, d, id, int64(gib*(1<<30)))
	case d.newCloudInit():
		return s.allocateCloudInit(ctx, j, d)
	case d["file"] == "none" || d["file"] == "cdrom":
		return d.print(j.option), "", nil
	}
	size, err := s.volumeSize(j.node, d)
	if err != nil {
		return "", "", err
	}
	d["size"] = formatSize(size)
	return d.print(j.option), "", nil
}

func (s *Server) volumeSize(node string, d drive) (int64, error) {
	id, name, _ := d.volume()
	store, err := s.storageOn(node, id)
	if err != nil {
		return 0, err
	}
	if strings.HasPrefix(name, "iso/") {
		path, err := s.filePath(node, id, name)
		if err != nil {
			return 0, err
		}
		if info, err := os.Stat(path); err == nil {
			return info.Size(), nil
		}
		return 0, die("volume '%s' does not exist", d["file"])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.volumes[d["file"]]
	if !ok || v.node != node && !store.Shared {
		return 0, die("volume '%s' does not exist", d["file"])
	}
	return v.size, nil
}

// allocate makes one volume. Allocations in a storage happen one after
// another, under its lock.
func (s *Server) allocate(ctx context.Context, j driveJob, d drive, id string, size int64) (string, string, error) {
	store, err := s.storageOn(j.node, id)
	if err != nil {
		return "", "", err
	}
	format, err := store.format(d["format"], s.release)
	if err != nil {
		return "", "", err
	}
	unlock, err := s.lockStorage(ctx, j.node, store)
	if err != nil {
		return "", "", err
	}
	defer unlock()
	if err := s.pause(ctx, s.cfg.Durations.Allocate); err != nil {
		return "", "", err
	}
	switch j.option { // of these something else decides, not the user
	case "efidisk0":
		size = map[bool]int64{true: 4 << 20, false: 528 << 10}[d["efitype"] == "4m"]
	case "tpmstate0":
		size = 4 << 20
	}
	volid, err := s.addVolume(j, store, format, size)
	if err != nil {
		return "", "", err
	}
	d["file"], d["size"] = volid, formatSize(size)
	delete(d, "format")
	return d.print(j.option), volid, nil
}

// storageOn is a storage that the node has.
func (s *Server) storageOn(node, id string) (Storage, error) {
	store, err := s.storage(id)
	if err != nil {
		return store, err
	}
	return store, store.usable(node)
}

func (s *Server) addVolume(j driveJob, store Storage, format string, size int64) (string, error) {
	_, struck := s.strike(Fault{Kind: StorageFull, Storage: store.Name, Node: j.node})
	s.mu.Lock()
	defer s.mu.Unlock()
	volid := s.freeVolume(store, j, format)
	_, name, _ := strings.Cut(volid, ":")
	if _, taken := s.volumes[volid]; taken {
		return "", die("disk image '%s' already exists", name)
	}
	free := store.size() - s.used(j.node, store)
	if struck || free <= 0 || storageTypes[store.Type].thick && free < size {
		return "", store.noRoom(name, size, max(free, 0))
	}
	s.volumes[volid] = volume{j.vmid, j.node, size, format, j.image}
	return volid, nil
}

// freeVolume names a disk that the VM does not have yet. The caller holds s.mu.
func (s *Server) freeVolume(store Storage, j driveJob, format string) string {
	if j.volume != "" {
		return store.Name + ":" + volumeName(store, j.vmid, j.volume, format)
	}
	for n := 0; ; n++ {
		volid := store.Name + ":" + volumeName(store, j.vmid, fmt.Sprintf("vm-%d-disk-%d", j.vmid, n), format)
		if _, taken := s.volumes[volid]; !taken {
			return volid
		}
	}
}

// free forgets volumes.
func (s *Server) free(volids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, volid := range volids {
		delete(s.volumes, volid)
	}
}

// used is how many bytes of the storage are taken on the node. The caller
// holds s.mu.
func (s *Server) used(node string, store Storage) int64 {
	n := store.Used
	for volid, v := range s.volumes {
		if strings.HasPrefix(volid, store.Name+":") && (store.Shared || v.node == node) {
			n += v.size
		}
	}
	for _, f := range s.files(node, store, "") {
		n += f.size
	}
	return n
}

type storedFile struct {
	kind, name string
	size       int64
	ctime      int64
}

// files lists what a storage keeps of a kind of content, or of all kinds that
// are files.
func (s *Server) files(node string, store Storage, kind string) (found []storedFile) {
	for _, k := range slices.Sorted(maps.Keys(fileKinds)) {
		if !store.files() || kind != "" && kind != k {
			continue
		}
		entries, _ := os.ReadDir(s.fileDir(node, store, k)) // gone: empty
		for _, e := range entries {
			info, err := e.Info()
			if err == nil && info.Mode().Type() == fs.FileMode(0) && fileKinds[k].name.MatchString(e.Name()) {
				found = append(found, storedFile{k, e.Name(), info.Size(), info.ModTime().Unix()})
			}
		}
	}
	return found
}

// Images returns the paths of all images in the storages: of CDs and of disks
// to import.
func (s *Server) Images() []string {
	paths := map[string]bool{}
	for _, node := range s.cfg.Nodes {
		for _, store := range s.cfg.Storages {
			for _, f := range s.files(node, store, "") {
				paths[filepath.Join(s.fileDir(node, store, f.kind), f.name)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(paths))
}

func getStorages(c *call) (any, error) {
	if id := c.params["storage"]; id != "" {
		if _, err := c.srv.storage(id); err != nil {
			return nil, badParam("storage", "No such storage.")
		}
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	list := []map[string]any{}
	for _, store := range c.srv.cfg.Storages {
		if c.srv.mayList(c.token, store) && store.wanted(c) {
			entry := c.srv.describeStorage(c.node, store)
			entry["storage"] = store.Name
			if c.flag("format") {
				store.describeFormats(entry, c.srv.release)
			}
			list = append(list, entry)
		}
	}
	return list, nil
}

// mayList says whether a token gets to see a storage. The caller holds s.mu.
func (s *Server) mayList(t *Token, store Storage) bool {
	return s.allowedLocked(t, "/storage/"+store.Name, "Datastore.Audit") || s.allowedLocked(t, "/storage/"+store.Name, "Datastore.AllocateSpace")
}

// wanted applies the filters of a storage list. A storage that the node does
// not have is listed, too, unless content is asked for.
func (s Storage) wanted(c *call) bool {
	kinds := splitList(c.params["content"])
	has := func(k string) bool { return slices.Contains(s.Content, k) }
	target := c.params["target"]
	return (c.params["storage"] == "" || c.params["storage"] == s.Name) &&
		(len(kinds) == 0 || s.on(c.node) && slices.ContainsFunc(kinds, has)) &&
		(!c.flag("enabled") || !s.Disabled) &&
		(target == "" || target == c.node || s.Shared && s.on(c.node) && s.on(target))
}

// describeStorage is the state of a storage on a node. The caller holds s.mu.
func (s *Server) describeStorage(node string, store Storage) map[string]any {
	entry := map[string]any{"type": store.Type, "content": store.kinds(), "shared": bit(store.Shared),
		"enabled": bit(store.on(node)), "active": bit(store.on(node)), "total": 0, "used": 0, "avail": 0}
	if !store.on(node) {
		return entry
	}
	total, used := store.size(), s.used(node, store)
	maps.Copy(entry, map[string]any{"total": total, "used": used, "avail": max(total-used, 0)})
	entry["used_fraction"] = float64(used) / float64(total)
	return entry
}

func getStorageStatus(c *call) (any, error) {
	store, err := c.srv.storageOn(c.node, c.params["storage"])
	if err != nil {
		return nil, err
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	entry := c.srv.describeStorage(c.node, store)
	delete(entry, "used_fraction")
	return entry, nil
}

// getStorageConfig is the configuration, the same on every node.
func getStorageConfig(c *call) (any, error) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	list := []map[string]any{}
	for _, store := range c.srv.cfg.Storages {
		if !c.srv.mayList(c.token, store) || c.params["type"] != "" && c.params["type"] != store.Type {
			continue
		}
		entry := map[string]any{"storage": store.Name, "type": store.Type, "content": store.kinds(), "digest": strings.Repeat("0", 40)}
		if store.Shared {
			entry["shared"] = 1
		}
		if store.Disabled {
			entry["disable"] = 1
		}
		if len(store.Nodes) > 0 {
			entry["nodes"] = strings.Join(store.Nodes, ",")
		}
		list = append(list, entry)
	}
	return list, nil
}

// bit is a boolean on the wire.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
