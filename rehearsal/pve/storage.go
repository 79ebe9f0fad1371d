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
	contentParams      = schema{"node": nodeParam, "storage": storageParam, "content": text.opt().as(isContent), "vmid": vmidParam.opt()}
	deleteVolumeParams = schema{"node": nodeParam, "storage": storageParam.opt(), "volume": text, "delay": integer.opt().atLeast(1).atMost(30)}
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

func (s *Server) isoDir(node string, store Storage) string {
	return filepath.Join(s.dir(node, store), "template", "iso")
}

var isoName = regexp.MustCompile(`^[^/]+\.(?i:iso|img)$`)

// isoPath is the path of the ISO volume on the node.
func (s *Server) isoPath(node, id, name string) (string, error) {
	store, err := s.storage(id)
	if err != nil {
		return "", err
	}
	file, ok := strings.CutPrefix(name, "iso/")
	if !ok || !isoName.MatchString(file) || !store.files() {
		return "", die("unable to parse volume filename '%s'", name)
	}
	return filepath.Join(s.isoDir(node, store), file), nil
}

// cdPath is the file in a CD drive, "" when the tray is empty.
func (s *Server) cdPath(node string, d drive) string {
	id, name, ok := d.volume()
	if !ok {
		return ""
	}
	path, err := s.isoPath(node, id, name)
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
	case fresh:
		return s.allocate(ctx, j, d, id, gib)
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
	store, err := s.storage(id)
	if err != nil {
		return 0, err
	}
	if strings.HasPrefix(name, "iso/") {
		path, err := s.isoPath(node, id, name)
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
func (s *Server) allocate(ctx context.Context, j driveJob, d drive, id string, gib float64) (string, string, error) {
	store, err := s.storage(id)
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
	size := int64(gib * (1 << 30))
	if j.option == "efidisk0" { // the firmware decides, not the user
		size = map[bool]int64{true: 4 << 20, false: 528 << 10}[d["efitype"] == "4m"]
	}
	d["file"], d["size"] = s.addVolume(j, store, d["format"], size), formatSize(size)
	delete(d, "format")
	return d.print(j.option), d["file"], nil
}

func (s *Server) addVolume(j driveJob, store Storage, format string, size int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := 0; ; n++ {
		volid := store.Name + ":" + diskName(store, j.vmid, n, format)
		if _, taken := s.volumes[volid]; !taken {
			s.volumes[volid] = volume{j.vmid, j.node, size}
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
func (s *Server) used(node string, store Storage) (n int64) {
	for volid, v := range s.volumes {
		if strings.HasPrefix(volid, store.Name+":") && (store.Shared || v.node == node) {
			n += v.size
		}
	}
	for _, iso := range s.isos(node, store) {
		n += iso.size
	}
	return n
}

type isoFile struct {
	name  string
	size  int64
	ctime int64
}

func (s *Server) isos(node string, store Storage) (found []isoFile) {
	if !store.files() {
		return nil
	}
	entries, _ := os.ReadDir(s.isoDir(node, store)) // gone: empty
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().Type() == fs.FileMode(0) && isoName.MatchString(e.Name()) {
			found = append(found, isoFile{e.Name(), info.Size(), info.ModTime().Unix()})
		}
	}
	return found
}

// Images returns the paths of all ISO images in the storages.
func (s *Server) Images() []string {
	paths := map[string]bool{}
	for _, node := range s.cfg.Nodes {
		for _, store := range s.cfg.Storages {
			for _, iso := range s.isos(node, store) {
				paths[filepath.Join(s.isoDir(node, store), iso.name)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(paths))
}

func getStorages(c *call) (any, error) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	list := []map[string]any{}
	for _, store := range c.srv.cfg.Storages {
		privs := c.srv.privileges(c.token, "/storage/"+store.Name)
		_, audit := privs["Datastore.Audit"]
		_, space := privs["Datastore.AllocateSpace"]
		if (audit || space) && store.wanted(c) {
			list = append(list, c.srv.describeStorage(c, store))
		}
	}
	return list, nil
}

func (s Storage) wanted(c *call) bool {
	if id := c.params["storage"]; id != "" && id != s.Name {
		return false
	}
	kinds := splitList(c.params["content"])
	return len(kinds) == 0 || slices.ContainsFunc(kinds, func(k string) bool { return slices.Contains(s.Content, k) })
}

func (s *Server) describeStorage(c *call, store Storage) map[string]any {
	total := store.size()
	used := s.used(c.node, store)
	entry := map[string]any{
		"storage": store.Name, "type": store.Type, "content": strings.Join(store.Content, ","),
		"shared": bit(store.Shared), "active": 1, "enabled": 1,
		"total": total, "used": used, "avail": total - used, "used_fraction": float64(used) / float64(total),
	}
	if c.flag("format") {
		kinds := map[string]int{"raw": 1}
		if store.files() {
			kinds = map[string]int{"raw": 1, "qcow2": 1, "vmdk": 1, "subvol": 1}
		}
		entry["format"] = []any{kinds, "raw"}
	}
	return entry
}

func (s Storage) size() int64 {
	if s.Size == 0 {
		return 1 << 40
	}
	return s.Size
}

// bit is a boolean on the wire.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func getContent(c *call) (any, error) {
	store, err := c.srv.storage(c.params["storage"])
	if err != nil {
		return nil, err
	}
	kind := c.params["content"]
	list := []map[string]any{}
	if kind == "" || kind == "iso" {
		for _, iso := range c.srv.isos(c.node, store) {
			list = append(list, map[string]any{"volid": store.Name + ":iso/" + iso.name, "content": "iso",
				"format": strings.ToLower(strings.TrimPrefix(filepath.Ext(iso.name), ".")), "size": iso.size, "ctime": iso.ctime})
		}
	}
	if kind == "" || kind == "images" {
		list = append(list, c.srv.images(c, store)...)
	}
	return list, nil
}

// images lists the disk images that the caller may see: those of VMs it may
// audit.
func (s *Server) images(c *call, store Storage) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []map[string]any{}
	for _, volid := range slices.Sorted(maps.Keys(s.volumes)) {
		v := s.volumes[volid]
		here := strings.HasPrefix(volid, store.Name+":") && (store.Shared || v.node == c.node)
		wanted := c.params["vmid"] == "" || c.params["vmid"] == fmt.Sprint(v.vmid)
		may := s.allowedLocked(c.token, "/storage/"+store.Name, "Datastore.Allocate") ||
			s.allowedLocked(c.token, vmPath(v.vmid), "VM.Config.Disk")
		if here && wanted && may {
			list = append(list, map[string]any{"volid": volid, "content": "images", "format": "raw", "size": v.size, "vmid": v.vmid})
		}
	}
	return list
}

func deleteVolume(c *call) (any, error) {
	id, name := c.params["storage"], c.params["volume"]
	if m := volumeID.FindStringSubmatch(name); m != nil {
		if m[1] != id {
			return nil, badParam("storage", "conflicting storage ID")
		}
		name = m[2]
	}
	path, err := c.srv.isoPath(c.node, id, name)
	if err != nil {
		return nil, err
	}
	if err := c.srv.check(c.token, "/storage/"+id, "Datastore.Allocate"); err != nil {
		return nil, err
	}
	volid := id + ":" + name
	return c.srv.fork(c, c.node, "imgdel", id, func(ctx context.Context, t *task) error {
		if err := c.srv.pause(ctx, c.srv.cfg.Durations.DeleteImage); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil {
			return die("can't unlink '%s' - %v", path, err)
		}
		c.srv.print(t, "Removed volume '%s'", volid)
		return nil
	})
}
