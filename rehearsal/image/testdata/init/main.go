// Program init is the first process of a guest that tests boot: it loads the
// modules that the image brings, says what hardware it sees, and resets.
package main

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/rehearsal/image"
)

func main() {
	if err := image.Prepare(); err != nil {
		fmt.Println("not prepared:", err)
	}
	for _, pattern := range []string{"/sys/class/net/e*", "/sys/block/*"} {
		found, _ := filepath.Glob(pattern)
		fmt.Println("found:", found)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}
