package pve

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

var importedVolume = regexp.MustCompile(`^(\w+)/`)

// importSyntax is the rule for a disk that is imported: a new one, whose size
// is that of the image.
func importSyntax(option, value string) error {
	d, err := parseDrive(option, value)
	if err != nil || d["import-from"] == "" {
		return nil // what is no drive is told elsewhere
	}
	if _, gib, fresh := d.fresh("any"); !fresh || gib != 0 {
		return badParam(option, "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>")
	}
	return nil
}

// mayImport asks for the right to read what a disk is imported from. Disks of
// other VMs can be imported from on a real server, too.
func (s *Server) mayImport(c *call, option string, d drive) error {
	source := d["import-from"]
	id, name, ok := drive{"file": source}.volume()
	switch {
	case source == "":
		return nil
	case !ok:
		return die("Only root can pass arbitrary filesystem paths.")
	}
	if _, err := s.filePath(c.node, id, name); err != nil {
		return err
	}
	if kind := importedVolume.FindStringSubmatch(name); kind[1] != "import" {
		return badParam(option, source+" has wrong type '"+kind[1]+"' - needs to be 'images' or 'import'")
	}
	return s.checkAny(c.token, "/storage/"+id, "Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.Audit")
}

// importDisk makes a disk of a copy of an image.
func (s *Server) importDisk(ctx context.Context, j driveJob, d drive, id string) (value, allocated string, err error) {
	from, name, _ := drive{"file": d["import-from"]}.volume()
	path, err := s.filePath(j.node, from, name)
	if err != nil {
		return "", "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", "", die("failed to stat '%s'", path)
	}
	size, err := virtualSize(path)
	if err != nil {
		return "", "", err
	}
	if err := s.pause(ctx, s.copyTime(info.Size())); err != nil {
		return "", "", err
	}
	delete(d, "import-from")
	j.image = filepath.Base(path)
	return s.allocate(ctx, j, d, id, size)
}

// assertContent is how the server looks into a file before it keeps it.
func assertContent(c *call, dest, path string) error {
	if c.params["content"] == "iso" {
		return assertISO(path)
	}
	_, err := virtualSizeAs(filepath.Ext(dest), path)
	return err
}

func virtualSize(path string) (int64, error) { return virtualSizeAs(filepath.Ext(path), path) }

// virtualSizeAs is the size in bytes that a guest sees of an image, which is
// taken for what its name's extension says. Of qcow2, which is described in
// docs/interop/qcow2.txt of QEMU, the version is in bytes 4 to 7, the offset
// of the name of a backing file in 8 to 15, the size in 24 to 31.
func virtualSizeAs(extension, path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if extension != ".qcow2" {
		info, err := f.Stat()
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	}
	head := make([]byte, 32)
	_, err = io.ReadFull(f, head)
	switch version := binary.BigEndian.Uint32(head[4:]); {
	case err != nil || string(head[:4]) != "QFI\xfb" || version < 2 || version > 3:
		return 0, die("failed to query file information with qemu-img")
	case binary.BigEndian.Uint64(head[8:]) != 0:
		return 0, die("backing file not allowed for untrusted image '%s'!", path)
	}
	return int64(binary.BigEndian.Uint64(head[24:])), nil
}

// resizeDisk makes a disk larger.
func resizeDisk(c *call) (any, error) {
	if err := rootOnly(c, "skiplock"); err != nil {
		return nil, err
	}
	return c.srv.fork(c, c.node, "resize", strconv.Itoa(c.vmid()), func(ctx context.Context, t *task) error {
		unlock, err := c.srv.lockConfig(ctx, c.node, c.vmid())
		if err != nil {
			return err
		}
		defer unlock()
		return c.srv.resize(c)
	})
}

func (s *Server) resize(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.find(c.node, c.vmid())
	if err != nil {
		return err
	}
	if err := m.unlocked(); err != nil {
		return err
	}
	option := c.params["disk"]
	d, err := parseDrive(option, m.conf[option])
	v, there := s.volumes[d["file"]]
	id, _, _ := d.volume()
	size := parseSize(strings.TrimPrefix(c.params["size"], "+"))
	if strings.HasPrefix(c.params["size"], "+") {
		size += v.size
	}
	switch digest := c.params["digest"]; {
	case digest != "" && digest != m.digest():
		return die("checksum mismatch (file change by other user?)")
	case err != nil || m.conf[option] == "":
		return die("disk '%s' does not exist", option)
	case d.cdrom():
		return die("you can't resize a cdrom")
	case !there:
		return die("Could not determine current size of volume '%s'", d["file"])
	case !s.allowedLocked(c.token, "/storage/"+id, "Datastore.AllocateSpace"):
		return forbidden("/storage/" + id + ", Datastore.AllocateSpace")
	case size < v.size:
		return die("shrinking disks is not supported")
	}
	v.size = size
	s.volumes[d["file"]] = v
	d["size"] = formatSize(size)
	m.conf[option] = d.print(option)
	return nil
}
