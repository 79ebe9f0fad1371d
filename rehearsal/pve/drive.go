package pve

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A volume is a disk image in a storage; ISO images are files instead.
type volume struct {
	vmid   int
	node   string // "" on shared storage
	size   int64  // bytes
	format string
	image  string // that it was imported from
}

var newDisk = regexp.MustCompile(`^(?:([^/:\s]+):)?(\d+(?:\.\d+)?)$`)

// driveNames are the options that hold drives, in the server's order.
var driveNames = func() []string {
	names := numbered("ide", 4)
	names = append(names, numbered("scsi", 31)...)
	names = append(names, numbered("virtio", 16)...)
	names = append(names, numbered("sata", 6)...)
	return append(names, "efidisk0", "tpmstate0")
}()

func numbered(base string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = base + strconv.Itoa(i)
	}
	return names
}

func isDrive(option string) bool { return slices.Contains(driveNames, option) }

// drive is a parsed drive option.
type drive map[string]string

func parseDrive(option, value string) (drive, error) {
	p, _ := configParams.lookup(option)
	return p.keys.parse(option, value)
}

func (d drive) print(option string) string {
	p, _ := configParams.lookup(option)
	return p.keys.print(d)
}

func (d drive) cdrom() bool { return d["media"] == "cdrom" || d["file"] == "cdrom" }

// fresh returns storage and size in GiB of a disk that is to be allocated.
func (d drive) fresh(defaultStorage string) (storage string, gib float64, ok bool) {
	m := newDisk.FindStringSubmatch(d["file"])
	if m == nil || d.cdrom() {
		return "", 0, false
	}
	gib, err := strconv.ParseFloat(m[2], 64)
	if m[1] != "" {
		defaultStorage = m[1]
	}
	return defaultStorage, gib, err == nil
}

// volume returns storage and name of an existing volume.
func (d drive) volume() (storage, name string, ok bool) {
	m := volumeID.FindStringSubmatch(d["file"])
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// formatSize writes bytes as the server does: the largest unit that leaves
// no remainder.
func formatSize(n int64) string {
	units := []string{"", "K", "M", "G", "T"}
	i := 0
	for n > 0 && n%1024 == 0 && i < len(units)-1 {
		n /= 1024
		i++
	}
	return fmt.Sprintf("%d%s", n, units[i])
}

func parseSize(s string) int64 {
	unit := strings.IndexByte("KMGT", s[len(s)-1:][0]) + 1
	n, _ := strconv.ParseFloat(strings.TrimRight(s, "KMGT"), 64)
	for range unit {
		n *= 1024
	}
	return int64(n)
}

// volumeName is what a storage makes of the name of a VM's volume.
func volumeName(s Storage, vmid int, name, format string) string {
	if !s.files() {
		return name
	}
	if format == "" {
		format = "raw"
	}
	return path.Join(strconv.Itoa(vmid), name+"."+format)
}
