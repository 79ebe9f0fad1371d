package image

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ModulesDir is where the guest finds its modules, named so that their order
// is the one to load them in.
const ModulesDir = "/modules"

// writeInitramfs writes the guest's root: the program as /init, and the wanted
// ones of the kernel's modules.
func writeInitramfs(w io.Writer, program, kernelModules string, wanted []string) error {
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	c := &cpio{w: zip}
	for _, dir := range []string{"dev", "proc", "sys", "tmp", "run", "etc", ModulesDir[1:]} {
		c.dir(dir)
	}
	c.device("dev/console", 5, 1)
	if err := addFile(c, "init", program); err != nil {
		return err
	}
	modules, err := moduleOrder(kernelModules, wanted)
	if err != nil {
		return err
	}
	for i, path := range modules {
		if err := addFile(c, fmt.Sprintf("%s/%02d-%s", ModulesDir[1:], i, filepath.Base(path)), path); err != nil {
			return err
		}
	}
	return errors.Join(c.close(), zip.Close())
}

func addFile(c *cpio, name, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	c.file(name, data)
	return c.err
}
