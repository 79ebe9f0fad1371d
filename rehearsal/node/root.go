package node

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"mvdan.cc/sh/v3/interp"
)

// A root is the read-only file system that commands of a simulated host see,
// by absolute path. It holds nothing of the machine the simulation runs on.
type root map[string]string

// root lists the files of the running system.
func (s *system) root() root {
	up := time.Since(s.booted).Seconds()
	r := root{
		"/proc/sys/kernel/random/boot_id": s.bootID + "\n",
		"/proc/uptime":                    fmt.Sprintf("%.2f %.2f\n", up, up*0.9),
		"/proc/sys/kernel/hostname":       s.name() + "\n",
		"/etc/os-release":                 s.osRelease(),
		"/etc/machine-id":                 s.machineID + "\n",
		"/etc/hostname":                   s.name() + "\n",
		"/etc/resolv.conf":                s.net.resolver.conf(),
		"/dev/null":                       "",
	}
	if s.live {
		r["/run/ostree-live"] = ""
	} else {
		r["/run/ostree-booted"] = ""
	}
	return r
}

func (s *system) osRelease() string {
	id, name := "rhcos", "Red Hat Enterprise Linux CoreOS"
	if strings.Contains(s.release, "okd") {
		id, name = "scos", "CentOS Stream CoreOS"
	}
	version := s.release
	if version == "" {
		version = "9.6.20260101-0"
	}
	return fmt.Sprintf("NAME=%q\nID=%q\nID_LIKE=\"rhel fedora\"\nVERSION_ID=%q\nPRETTY_NAME=\"%s %s\"\nVARIANT=\"CoreOS\"\nVARIANT_ID=coreos\nOSTREE_VERSION='%s'\n",
		name, id, version, name, version, version)
}

func (r resolver) conf() string {
	var out strings.Builder
	if len(r.search) > 0 {
		fmt.Fprintf(&out, "search %s\n", strings.Join(r.search, " "))
	}
	for _, s := range r.servers {
		fmt.Fprintf(&out, "nameserver %s\n", s)
	}
	return out.String()
}

// read returns a file's content, or an error in the words of the kernel.
func (r root) read(name string) (string, error) {
	if data, ok := r[name]; ok {
		return data, nil
	}
	if r.isDir(name) {
		return "", &fs.PathError{Op: "read", Path: name, Err: errIsDir}
	}
	return "", &fs.PathError{Op: "open", Path: name, Err: errNoFile}
}

type kernelError string

func (e kernelError) Error() string { return string(e) }

const (
	errNoFile   = kernelError("No such file or directory")
	errIsDir    = kernelError("Is a directory")
	errReadOnly = kernelError("Read-only file system")
)

func (r root) isDir(name string) bool {
	prefix := strings.TrimSuffix(name, "/") + "/"
	for file := range r {
		if strings.HasPrefix(file, prefix) {
			return true
		}
	}
	return false
}

func abs(dir, name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(dir, name)
}

// A handle is an open file of a root; /dev/null takes what is written.
type handle struct{ io.Reader }

func (handle) Write(p []byte) (int, error) { return len(p), nil }
func (handle) Close() error                { return nil }

// open is an interp.OpenHandlerFunc.
func (r root) open(ctx context.Context, name string, flag int, _ os.FileMode) (io.ReadWriteCloser, error) {
	full := abs(interp.HandlerCtx(ctx).Dir, name)
	if flag&(os.O_WRONLY|os.O_RDWR) != 0 && full != "/dev/null" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errReadOnly}
	}
	data, err := r.read(full)
	if err != nil {
		return nil, err
	}
	return handle{strings.NewReader(data)}, nil
}

// stat is an interp.StatHandlerFunc.
func (r root) stat(_ context.Context, name string, _ bool) (fs.FileInfo, error) {
	name = path.Clean(name)
	if data, ok := r[name]; ok {
		return info{path.Base(name), int64(len(data)), 0o444}, nil
	}
	if r.isDir(name) {
		return info{path.Base(name), 0, fs.ModeDir | 0o555}, nil
	}
	return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
}

// readDir is an interp.ReadDirHandlerFunc2.
func (r root) readDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	prefix := strings.TrimSuffix(path.Clean(name), "/") + "/"
	names := map[string]bool{}
	for file := range r {
		if below, ok := strings.CutPrefix(file, prefix); ok {
			first, _, _ := strings.Cut(below, "/")
			names[first] = true
		}
	}
	var list []fs.DirEntry
	for _, n := range slices.Sorted(maps.Keys(names)) {
		i, err := r.stat(ctx, prefix+n, false)
		if err != nil {
			return nil, err
		}
		list = append(list, fs.FileInfoToDirEntry(i))
	}
	return list, nil
}

// An info describes a file of a root.
type info struct {
	name string
	size int64
	mode fs.FileMode
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
