package image

import (
	"fmt"
	"io"
)

// A cpio writes an archive in the form that the kernel unpacks as its first
// root file system (newc; Documentation/driver-api/early-userspace/buffer-format.rst).
type cpio struct {
	w   io.Writer
	ino int
	err error
}

const (
	modeDir  = 0o040755
	modeFile = 0o100755
	modeChar = 0o020600
)

func (c *cpio) dir(name string) { c.entry(name, modeDir, 0, 0, nil) }

// device adds a character device: the kernel opens /dev/console before anybody
// could mount /dev.
func (c *cpio) device(name string, major, minor int) { c.entry(name, modeChar, major, minor, nil) }

func (c *cpio) file(name string, data []byte) { c.entry(name, modeFile, 0, 0, data) }

func (c *cpio) close() error {
	c.entry("TRAILER!!!", 0, 0, 0, nil)
	return c.err
}

// entry writes a header of 13 fields of eight hexadecimal digits, the name and
// the data, both padded to four bytes.
func (c *cpio) entry(name string, mode, major, minor int, data []byte) {
	if c.err != nil {
		return
	}
	c.ino++
	header := "070701"
	for _, field := range []int{c.ino, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name) + 1, 0} {
		header += fmt.Sprintf("%08X", field)
	}
	c.write([]byte(header + name + "\x00" + padding(len(header)+len(name)+1)))
	c.write(data)
	c.write([]byte(padding(len(data))))
}

func (c *cpio) write(b []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(b)
	}
}

func padding(n int) string { return "\x00\x00\x00"[:(4-n%4)%4] }
