// Program init is the first process of a guest that tests boot: it loads the
// modules that the image brings, says what hardware it sees, and resets.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func main() {
	for target, kind := range map[string]string{"/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs"} {
		if err := unix.Mount(kind, target, kind, 0, ""); err != nil {
			fmt.Println("mount:", target, err)
		}
	}
	modules, _ := filepath.Glob("/modules/*.ko")
	for _, path := range modules {
		if err := load(path); err != nil {
			fmt.Println("module:", path, err)
		}
	}
	for _, pattern := range []string{"/sys/class/net/e*", "/sys/block/*"} {
		found, _ := filepath.Glob(pattern)
		fmt.Println("found:", found)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

func load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}
