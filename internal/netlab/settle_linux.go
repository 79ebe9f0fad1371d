package netlab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Settle makes a spawned process at home in its namespaces: no mount leaks
// out, /etc/hosts and /etc/resolv.conf show the files hosts and resolv, and
// loopback works. It refuses to touch a process that Spawn did not start.
func Settle(hosts, resolv string) error {
	if err := Spawned(); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return advise(fmt.Errorf("make mounts private: %w", err))
	}
	files := map[string]string{"hosts": hosts, "resolv.conf": resolv}
	err := show("/etc", files)
	settled.Store(err == nil)
	return advise(errors.Join(err, loopbackUp()))
}

// show gives the named files in dir, which may be symbolic links or absent,
// the content of other files, for the processes in this mount namespace.
func show(dir string, files map[string]string) error {
	if err := cover(dir, files); err != nil {
		return err
	}
	for name, file := range files {
		target, err := filepath.EvalSymlinks(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := unix.Mount(file, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s over %s: %w", file, target, err)
		}
	}
	return nil
}

// cover lays a directory with the named files, empty, over dir if one of them
// is absent or a link that leads nowhere, and so cannot be bound over.
func cover(dir string, files map[string]string) error {
	var upper string
	for name, file := range files {
		_, err := os.Stat(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			upper = filepath.Join(filepath.Dir(file), "cover")
		} else if err != nil {
			return err
		}
	}
	if upper == "" {
		return nil
	}
	if err := empty(upper, files); err != nil {
		return err
	}
	return wrap("lay "+upper+" over "+dir, overlay(upper, dir))
}

func empty(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name := range files {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// overlay needs no writable layer: two lower ones make a read-only whole. They
// are given as descriptors, for a path may contain the option separators.
func overlay(upper, lower string) error {
	var layers []string
	for _, dir := range []string{upper, lower} {
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		defer d.Close()
		layers = append(layers, fmt.Sprintf("/proc/self/fd/%d", d.Fd()))
	}
	return unix.Mount("overlay", lower, "overlay", unix.MS_RDONLY, "lowerdir="+strings.Join(layers, ":"))
}

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	return wrap("loopback up", netlink.LinkSetUp(lo))
}
