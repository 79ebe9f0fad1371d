package image

import (
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// wanted are the kernel modules that let a guest see its network, disk and CD.
var wanted = []string{"virtio_pci", "virtio_rng", "virtio_net", "af_packet", "virtio_blk", "virtio_scsi", "sr_mod", "isofs"}

// moduleOrder lists the files of the wanted modules and of all they depend on,
// each after what it needs. What the kernel has built in has no file.
func moduleOrder(dir string, wanted []string) ([]string, error) {
	files, err := moduleFiles(dir)
	if err != nil {
		return nil, err
	}
	builtIn, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "modules.builtin"))
	if err != nil {
		return nil, fmt.Errorf("kernel modules: %w", err)
	}
	var order []string
	var add func(name string) error
	add = func(name string) error {
		path, ok := files[name]
		if !ok {
			if strings.Contains(moduleName(string(builtIn)), "/"+name+".ko") {
				return nil
			}
			return fmt.Errorf("kernel modules: there is no %s", name)
		}
		if slices.Contains(order, path) {
			return nil
		}
		depends, err := dependsOn(path)
		if err != nil {
			return err
		}
		for _, d := range depends {
			if err := add(d); err != nil {
				return err
			}
		}
		order = append(order, path)
		return nil
	}
	for _, name := range wanted {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// moduleName is how the kernel writes names: with underscores.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

func moduleFiles(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok && err == nil {
			files[moduleName(name)] = path
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("kernel modules: %w", err)
	}
	return files, nil
}

// dependsOn reads what a module says of itself in its section .modinfo.
func dependsOn(path string) ([]string, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("kernel module %s: %w", path, err)
	}
	defer file.Close()
	section := file.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("kernel module %s says nothing of itself", path)
	}
	info, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("kernel module %s: %w", path, err)
	}
	for line := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(line, "depends="); ok && list != "" {
			return strings.Split(moduleName(list), ","), nil
		}
	}
	return nil, nil
}
