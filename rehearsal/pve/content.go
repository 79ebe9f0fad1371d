package pve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func getContent(c *call) (any, error) {
	store, err := c.srv.storageOn(c.node, c.params["storage"])
	if err != nil {
		return nil, err
	}
	kind := c.params["content"]
	list := []map[string]any{}
	for _, f := range c.srv.files(c.node, store, kind) {
		if slices.Contains(store.Content, f.kind) {
			list = append(list, map[string]any{"volid": store.Name + ":" + f.kind + "/" + f.name, "content": f.kind,
				"format": strings.ToLower(strings.TrimPrefix(filepath.Ext(f.name), ".")), "size": f.size, "ctime": f.ctime})
		}
	}
	if kind == "" || kind == "images" {
		list = append(list, c.srv.images(c, store)...)
	}
	return list, nil
}

// images lists the disk images that the caller may see: those of VMs whose
// disks it may change.
func (s *Server) images(c *call, store Storage) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []map[string]any{}
	for _, volid := range slices.Sorted(maps.Keys(s.volumes)) {
		v := s.volumes[volid]
		here := strings.HasPrefix(volid, store.Name+":") && (store.Shared || v.node == c.node)
		wanted := c.params["vmid"] == "" || c.params["vmid"] == fmt.Sprint(v.vmid)
		if here && wanted && s.mayAccessImage(c.token, store.Name, v.vmid) {
			list = append(list, map[string]any{"volid": volid, "content": "images", "format": v.format, "size": v.size, "vmid": v.vmid})
		}
	}
	return list
}

// mayAccessImage is the rule for the disks of a VM. The caller holds s.mu.
func (s *Server) mayAccessImage(t *Token, storage string, vmid int) bool {
	return s.allowedLocked(t, "/storage/"+storage, "Datastore.Allocate") ||
		s.allowedLocked(t, "/storage/"+storage, "Datastore.Audit") && s.allowedLocked(t, vmPath(vmid), "VM.Config.Disk")
}

// deleteVolume removes an image. That it is not there is a warning in the log
// of the task for files, and an error for the others.
func deleteVolume(c *call) (any, error) {
	id, name := c.params["storage"], c.params["volume"]
	if m := volumeID.FindStringSubmatch(name); m != nil {
		if id != "" && m[1] != id {
			return nil, badParam("storage", "conflicting storage ID")
		}
		id, name = m[1], m[2]
	}
	store, err := c.srv.storageOn(c.node, id)
	if err != nil {
		return nil, err
	}
	remove, owner, err := c.srv.remover(c, store, name)
	if err != nil {
		return nil, err
	}
	if err := c.srv.check(c.token, "/storage/"+id, "Datastore.Allocate"); err != nil {
		return nil, err
	}
	upid, err := c.srv.fork(c, c.node, "imgdel", owner+id, func(ctx context.Context, t *task) error {
		unlock, err := c.srv.lockStorage(ctx, c.node, store)
		if err != nil {
			return err
		}
		defer unlock()
		if err := c.srv.pause(ctx, c.srv.cfg.Durations.DeleteImage); err != nil {
			return err
		}
		if err := remove(t); err != nil {
			return err
		}
		c.srv.print(t, "Removed volume '%s:%s'", id, name)
		return nil
	})
	if delay := c.number("delay", 0); err == nil && delay > 0 {
		return c.srv.awaitTask(c, upid, time.Duration(delay)*time.Second, "")
	}
	return upid, err
}

var ownedImage = regexp.MustCompile(`^(?:(\d+)/)?(?:vm|base)-(\d+)-[^/]+$`)

// remover is what removes a volume, and the prefix of its owner in the id of
// the task.
func (s *Server) remover(c *call, store Storage, name string) (func(*task) error, string, error) {
	if m := ownedImage.FindStringSubmatch(name); m != nil && (m[1] != "") == store.files() {
		volid := store.Name + ":" + name
		return func(*task) error { s.free([]string{volid}); return nil }, m[2] + "@", nil
	}
	path, err := s.filePath(c.node, store.Name, name)
	return func(t *task) error {
		err := os.Remove(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.print(t, "disk image '%s' does not exist", path)
		case err != nil:
			return die("unlink '%s' failed - %v", path, err)
		}
		return nil
	}, "", err
}
