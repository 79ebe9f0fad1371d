package qemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// A Firmware is UEFI firmware: its code, and the machine's own copy of the
// variables. The zero value is the BIOS that QEMU brings.
type Firmware struct {
	Code string `json:"code,omitempty"` // path, shared and read only
	Vars string `json:"vars,omitempty"` // path of this machine's own
}

// UEFI reports whether f is more than the BIOS.
func (f Firmware) UEFI() bool { return f.Code != "" }

func (f Firmware) args() []string {
	if !f.UEFI() {
		return nil
	}
	return []string{
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + value(f.Code),
		"-drive", "if=pflash,unit=1,format=raw,file=" + value(f.Vars),
	}
}

// firmwareDirs hold descriptors in the order of QEMU's docs/interop/firmware.json:
// a file of an earlier directory hides one of the same name in a later.
var firmwareDirs = []string{"/etc/qemu/firmware", "/usr/local/share/qemu/firmware", "/usr/share/qemu/firmware"}

// A descriptor is what is read of such a file.
type descriptor struct {
	Interfaces []string `json:"interface-types"`
	Mapping    struct {
		Device     string
		Mode       string
		Executable struct{ Filename, Format string }
		Template   struct{ Filename, Format string } `json:"nvram-template"`
	}
	Targets []struct {
		Architecture string
		Machines     []string
	}
	Features []string
}

// ErrNoFirmware is returned where no UEFI firmware is installed.
var ErrNoFirmware = errors.New("no UEFI firmware for x86_64 is installed (package ovmf or edk2-ovmf)")

// FindUEFI returns the first UEFI firmware for our machines that needs no
// secure boot: its code, and the template of its variables.
func FindUEFI(dirs ...string) (code, template string, err error) {
	if len(dirs) == 0 {
		dirs = firmwareDirs
	}
	files, err := descriptors(dirs)
	if err != nil {
		return "", "", err
	}
	for _, path := range files {
		d, err := readDescriptor(path)
		if err != nil {
			return "", "", err
		}
		if d.fits() {
			return d.Mapping.Executable.Filename, d.Mapping.Template.Filename, nil
		}
	}
	return "", "", ErrNoFirmware
}

// descriptors lists the files by name, each name once.
func descriptors(dirs []string) ([]string, error) {
	byName := map[string]string{}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("firmware descriptors: %w", err)
		}
		for _, e := range entries {
			if _, hidden := byName[e.Name()]; !hidden && filepath.Ext(e.Name()) == ".json" {
				byName[e.Name()] = filepath.Join(dir, e.Name())
			}
		}
	}
	var names, paths []string
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		paths = append(paths, byName[name])
	}
	return paths, nil
}

func readDescriptor(path string) (d descriptor, err error) {
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		return d, fmt.Errorf("firmware descriptor %s: %w", path, err)
	}
	return d, nil
}

func (d descriptor) fits() bool {
	machine := slices.ContainsFunc(d.Targets, func(t struct {
		Architecture string
		Machines     []string
	}) bool {
		return t.Architecture == "x86_64" && slices.ContainsFunc(t.Machines, func(m string) bool {
			ok, err := filepath.Match(m, "pc-q35-7.2")
			return err == nil && ok
		})
	})
	return machine && slices.Contains(d.Interfaces, "uefi") && d.Mapping.Device == "flash" &&
		(d.Mapping.Mode == "" || d.Mapping.Mode == "split") &&
		d.Mapping.Executable.Format == "raw" && d.Mapping.Template.Format == "raw" &&
		!slices.Contains(d.Features, "requires-smm") && !slices.Contains(d.Features, "enrolled-keys")
}
